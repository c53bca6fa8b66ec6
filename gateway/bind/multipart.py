"""Decides which fields the parts of a multipart/form-data body become, in one message or in a stream of them.

A part is named for its field, dotted if the field lies deeper:

-   A field of type `bytes` or google.api.HttpBody takes a file: the part's bytes as they are, an HttpBody its content type
    too. File names are the client's own (RFC 7578, 4.2: "SHOULD NOT use the file name blindly") and go nowhere.
-   Any other part of type `application/json` is read as the JSON of its field.
-   What is left is text, and read as a query parameter's.

In a stream a file comes in pieces, one message each, and what was said in texts before it comes with the first piece, or
in a message of its own where both share a oneof. A HttpBody with a content type begins a file; the pieces after it have
none. Nothing is kept but texts and JSON, of which `most_held` bytes may come.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from gateway.bind import content
from gateway.bind.field import ParameterError, Target
from gateway.bind.form import Form
from gateway.bind.part import Part, PartParser
from gateway.codec.fault import join
from gateway.codec.json import Codec, check_required, parse
from gateway.codec.shape import in_choice
from gateway.problem import RequestProblem, Violation, refuse
from gateway.schema.kind import HTTP_BODY, json_path, message_of

MOST_PIECE: Final = 1 << 20
"""Bytes of a file in one message; gRPC takes 4 MiB by default."""

_TWICE: Final = "is given more than once"


class MultipartForm:
    """What the parts of a body may be, for one message type."""

    __slots__ = ("_field", "_message_class", "codec", "fixed", "form")

    def __init__(
        self,
        message_class: type[Message],
        codec: Codec,
        field: FieldDescriptor | None = None,
        fixed: Collection[Target] = (),
    ) -> None:
        """`field` is the one that the body is, None for the whole request; `fixed` is what the path says."""
        descriptor = codec.descriptor if field is None else message_of(field)
        prefix = "" if field is None else field.json_name
        self.form = Form(descriptor, prefix=prefix, ignore_unknown=codec.options.ignore_unknown)
        self.codec = codec
        self.fixed = {target.path: target for target in fixed}
        self._message_class = message_class
        self._field = field

    def read(self, body: bytes, content_type: str) -> Message:
        """Return the message that a whole body makes; raise RequestProblem with every violation."""
        reader = MultipartReader(self, self.new(), content_type)
        reader.feed(body)
        (message,) = reader.finish()
        return message

    def stream(self, first: Message, content_type: str, most_held: int) -> MultipartReader:
        """Return the reader of a body that becomes a stream of messages, `first` the first of them."""
        return MultipartReader(self, first, content_type, most_held)

    def new(self) -> Message:
        return self._message_class()

    def root(self, message: Message) -> Any:
        """Return the message within the request that the body is."""
        return message if self._field is None else getattr(message, self._field.name)

    def __repr__(self) -> str:
        return f"<MultipartForm of {self._message_class.DESCRIPTOR.full_name}>"


class MultipartReader:
    """One body on its way to messages."""

    __slots__ = (
        "_chunks", "_fields", "_file", "_first", "_form", "_given", "_held", "_message", "_most_held", "_opening", "_out",
        "_parser", "_part", "_pending", "_take", "_violations",
    )  # fmt: skip

    def __init__(
        self, form: MultipartForm, first: Message, content_type: str, most_held: int | None = None
    ) -> None:
        """Without `most_held` everything is kept for one message."""
        self._form = form
        self._parser = PartParser(content_type)
        self._first = self._message = first
        self._most_held = most_held
        self._held = 0
        self._pending = True
        self._given: set[str] = set()
        self._violations: list[Violation] = []
        self._out: list[Message] = []
        self._part = Part("", None, "")
        self._fields: tuple[FieldDescriptor, ...] = ()
        self._file = False
        self._take: Callable[[bytes], None] | None = None
        self._opening: str | None = None
        self._chunks: list[bytes] = []

    def feed(self, piece: bytes) -> list[Message]:
        """Return the messages that a piece of the body completes."""
        for event in self._parser.feed(piece):
            if event is None:
                self._end()
            elif type(event) is Part:
                self._begin(event)
            else:
                self._data(event)  # type: ignore[arg-type]
        if self._most_held is not None:
            if self._violations:
                raise refuse(self._violations)
            if self._file and self._chunks:
                self._send_file()
        out, self._out = self._out, []
        return out

    def finish(self) -> list[Message]:
        """Return what is left at the end of the body: the last message, or the only one."""
        self._parser.finish()
        if self._violations:
            raise refuse(self._violations)
        if self._pending:
            self._emit()
        out, self._out = self._out, []
        return out

    # Parts

    def _begin(self, part: Part) -> None:
        self._part, self._fields = part, ()
        try:
            fields = self._form.form.way(part.name.partition("[")[0])
        except ParameterError as error:
            self._refuse(self._form.form.violation(part.name, error))
            return
        is_json = content.media_type(part.content_type) == content.JSON and "[" not in part.name
        holds_file = _holds_file(fields[-1])
        if (is_json or holds_file) and self._is_fixed(json_path(fields)):
            self._refuse(self._violation(json_path(fields), "the path says it: no part may"))
            return
        if holds_file and (part.filename is not None or part.content_type or _is_http_body(fields[-1])):
            self._begin_file(part, fields)
        elif is_json:
            self._fields, self._take = fields, self._put_json
        elif part.filename is not None:
            text = "takes no file: only fields of type bytes and google.api.HttpBody do"
            self._refuse(self._violation(json_path(fields), text))
        else:
            self._take = self._put_text

    def _begin_file(self, part: Part, fields: tuple[FieldDescriptor, ...]) -> None:
        path = json_path(fields)
        if path in self._given and not fields[-1].is_repeated:
            self._refuse(self._violation(path, _TWICE))
            return
        self._given.add(path)
        # RFC 7578, 4.4: "Each part MAY have an (optional) "Content-Type" header field, which defaults to
        # "text/plain". If the contents of a file are to be sent, [...] "application/octet-stream"" where it is unknown.
        unsaid = "text/plain" if part.filename is None else "application/octet-stream"
        self._fields, self._opening, self._file = fields, part.content_type or unsaid, True

    def _data(self, data: bytes) -> None:
        if self._file:
            self._chunks.append(data)
        elif self._take is not None:
            self._chunks.append(data)
            self._held += len(data)
            if self._most_held is not None and self._held > self._most_held:
                text = f"the texts of the form are larger than the limit of {self._most_held} bytes"
                raise RequestProblem(text, http_status=413)

    def _end(self) -> None:
        if self._file:
            if self._chunks or self._opening is not None:
                self._send_file()
        elif self._take is not None:
            self._take(b"".join(self._chunks))
        # A part that is refused sets neither, and its data goes nowhere.
        self._chunks, self._take, self._file = [], None, False

    # Places

    def _put_text(self, data: bytes) -> None:
        try:
            content.check_charset(self._part.content_type)
            text = data.decode()
        except UnicodeDecodeError:
            self._refuse(self._violation(self._part.name, "is not UTF-8 text"))
            return
        root = self._form.root(self._message)
        target = self._fixed()
        if target is not None:
            wrong = target.disagrees(self._first, text, "the body gives another value than the path's")
            self._refuse(Violation(target.path, wrong) if wrong else None)
            return
        self._pending = True
        self._refuse(self._form.form.put(root, self._part.name, text, self._given))

    def _put_json(self, data: bytes) -> None:
        path = json_path(self._fields)
        at = join(self._form.form.prefix, path)
        if path in self._given:
            self._refuse(Violation(at, _TWICE))
            return
        self._given.add(path)
        if taken := self._taken():
            self._refuse(Violation(at, taken))
            return
        holder = self._form.root(self._message)
        for field in self._fields[:-1]:
            holder = getattr(holder, field.name)
        self._pending = True
        try:
            self._form.codec.set_field(holder, self._fields[-1], parse(data, at), at)
        except RequestProblem as problem:
            self._violations.extend(problem.violations)

    def _send_file(self) -> None:
        data, self._chunks = b"".join(self._chunks), []
        whole = self._most_held is None
        step = max(len(data), 1) if whole else MOST_PIECE
        for start in range(0, max(len(data), 1), step):
            if taken := self._taken():
                if whole:
                    self._refuse(self._violation(json_path(self._fields), taken))
                    return
                self._emit()
            _put_file(self._form.root(self._message), self._fields, data[start : start + step], self._opening)
            self._opening, self._pending = None, True
            if not whole:
                self._emit()

    def _emit(self) -> None:
        check_required(self._message)
        self._out.append(self._message)
        self._message, self._pending = self._form.new(), False

    def _taken(self) -> str:
        """Return what is said when another field of the oneof of the part's field is set."""
        holder = self._form.root(self._message)
        for field in self._fields:
            oneof = field.containing_oneof
            if oneof is not None and in_choice(field):
                other = holder.WhichOneof(oneof.name)
                if other not in {None, field.name}:
                    given = holder.DESCRIPTOR.fields_by_name[other].json_name
                    return f'"{given}" is given too, and at most one field of oneof "{oneof.name}" may be'
            if field.message_type is None or field.is_repeated:
                break
            holder = getattr(holder, field.name)
        return ""

    def _fixed(self) -> Target | None:
        """Return what the path says of the field that the part names."""
        if self._most_held is None or not self._form.fixed:
            return None  # the message of a whole body is compared with the path when it is complete
        try:
            path = json_path(self._form.form.way(self._part.name))
        except ParameterError:
            return None
        return self._form.fixed.get(join(self._form.form.prefix, path))

    def _is_fixed(self, path: str) -> bool:
        """Whether the path of the request says this field, or one within, of a message that is sent before its body ends."""
        at = join(self._form.form.prefix, path)
        return self._most_held is not None and any(
            fixed == at or fixed.startswith(at + ".") for fixed in self._form.fixed
        )

    def _violation(self, path: str, text: str) -> Violation:
        return Violation(join(self._form.form.prefix, path), text)

    def _refuse(self, violation: Violation | None) -> None:
        if violation is not None:
            self._violations.append(violation)

    def __repr__(self) -> str:
        return f"<MultipartReader part={self._part.name!r} held={self._held}>"


def _is_http_body(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.full_name == HTTP_BODY


def _holds_file(field: FieldDescriptor) -> bool:
    return field.type == FieldDescriptor.TYPE_BYTES or _is_http_body(field)


def _put_file(root: Any, fields: tuple[FieldDescriptor, ...], data: bytes, content_type: str | None) -> None:
    """Put a piece of a file where it belongs; `content_type` comes with the first one."""
    holder = root
    for field in fields[:-1]:
        holder = getattr(holder, field.name)
    holder.SetInParent()
    last = fields[-1]
    if last.message_type is None:
        if last.is_repeated:
            getattr(holder, last.name).append(data)
        else:
            setattr(holder, last.name, data)
        return
    body = getattr(holder, last.name).add() if last.is_repeated else getattr(holder, last.name)
    body.SetInParent()
    if content_type is not None:
        body.content_type = content_type
    body.data = data
