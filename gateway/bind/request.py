"""Decides how a request message is made of what an HTTP request carries: captures, query, body.

google/api/http.proto sorts the fields of a request into three kinds, and so does this:

-   "Fields referred by the path template. They are passed via the URL path." Nothing overrides them: a body
    or a query that gives such a field another value is refused, one that repeats the value is not.
-   "Fields referred by the HttpRule.body. They are passed via the HTTP request body." A missing body leaves
    them unset.
-   "All other fields are passed via the URL query parameters, and the parameter name is the field path in the
    request message." There are none if the body is `*`.

What has no place in the message (unknown parameters, a body where none is declared) is refused as well, so
that a misspelt name cannot pass for an answer. Everything found is reported at once.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from gateway.bind import content, query
from gateway.bind.field import MisuseError, Names, ParameterError, Target
from gateway.codec.fault import SHOWN_LENGTH, step
from gateway.codec.json import Codec, check_required, parse
from gateway.problem import RequestProblem, Violation, refuse
from gateway.route.table import Binding
from gateway.route.template import decode
from gateway.schema.kind import HTTP_BODY, is_message, message_of, resolve

Bind = Callable[[Sequence[str], bytes, bytes, str], Message]
"""Makes the request of captures, query string, body and content type, or raises RequestProblem."""

_ReadBody = Callable[[bytes, str], Message]

_UNWANTED: Final = "a body was sent, and this method takes none"
_DOTTED: Final = re.compile(r"\w+(\.\w+)*(\[\w+\])?", re.ASCII)
_JSON_SPACE: Final = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What is let pass in a query."""

    ignore_unknown: bool = False
    """Skip parameters that name no field, instead of refusing them."""
    ignored: frozenset[str] = frozenset()
    """Parameters that are not the method's, such as an API key: skipped wherever they name no field."""


def compile_request(binding: Binding, codec: Codec, options: QueryOptions | None = None) -> Bind:
    """Return the function that makes the request of a binding; `codec` is that of the method's input type."""
    return _Request(binding, codec, options or QueryOptions()).bind


class _Request:
    """A compiled binding: the steps of `bind`, each with its descriptors resolved."""

    __slots__ = ("_body", "_captures", "_class", "_covered", "_names", "_options", "_paths")

    def __init__(self, binding: Binding, codec: Codec, options: QueryOptions) -> None:
        descriptor = binding.method.input_type
        self._class: type[Message] = message_factory.GetMessageClass(descriptor)
        self._options = options
        self._captures = tuple(
            (Target(resolve(descriptor, variable.path)), variable) for variable in binding.template.variables
        )
        self._paths = {target.path: target for target, _ in self._captures}
        self._body = _compile_body(binding, codec, self._class)
        self._covered = frozenset(
            target.path for target, variable in self._captures if binding.body in {"*", variable.path[0]}
        )
        self._names = None if binding.body == "*" else Names(descriptor, binding.body)

    def bind(
        self, captures: Sequence[str], query_string: bytes, body: bytes, content_type: str = ""
    ) -> Message:
        """Make the request, or raise RequestProblem with every violation."""
        violations: list[Violation] = []
        try:
            message = self._body(body, content_type)
        except RequestProblem as problem:
            # Another content type cannot be mended field by field.
            if problem.http_status is not None:
                raise
            violations.extend(problem.violations or (Violation("", problem.message),))
            message = self._class()
        if self._captures:
            self._bind_path(message, captures, violations)
        if query_string:
            self._bind_query(message, query_string, violations)
        if violations:
            raise refuse(violations)
        check_required(message)
        return message

    def _bind_path(self, message: Message, captures: Sequence[str], violations: list[Violation]) -> None:
        for (target, variable), raw in zip(self._captures, captures, strict=True):
            try:
                text = decode(raw, multi=variable.multi)
            except ValueError as error:
                violations.append(Violation(target.path, query.printable(str(error))))
                continue
            if target.path in self._covered and target.is_set(message):
                wrong = target.disagrees(message, text, "the body gives another value than the path's")
            else:
                wrong = target.put(message, text)
            if wrong:
                violations.append(Violation(target.path, wrong))

    def _bind_query(self, message: Message, query_string: bytes, violations: list[Violation]) -> None:
        given: set[str] = set()
        for name, text in query.read(query_string, violations):
            try:
                target = self._find(name)
            except ParameterError as error:
                if not self._passes(name, error):
                    violations.append(Violation(_printed(name), str(error)))
                continue
            if target.path in self._paths:
                wrong = target.disagrees(message, text, "the query gives another value than the path's")
            elif target.path in given and not target.many:
                wrong = "is given more than once"
            else:
                given.add(target.path)
                wrong = target.put(message, text)
            if wrong:
                violations.append(Violation(target.path, wrong))

    def _find(self, name: str) -> Target:
        if self._names is None:
            # "If HttpRule.body is "*", there is no URL query parameter, all fields are passed via URL path
            # and HTTP request body." - google/api/http.proto
            raise ParameterError("this method takes no query parameters: its fields are given in the body")
        return self._names.find(name)

    def _passes(self, name: str, error: ParameterError) -> bool:
        if isinstance(error, MisuseError):
            return False
        return self._options.ignore_unknown or name in self._options.ignored

    def __repr__(self) -> str:
        return f"<Request {self._class.DESCRIPTOR.full_name}>"


def _compile_body(binding: Binding, codec: Codec, message_class: type[Message]) -> _ReadBody:
    """Return the function that makes a message of a body, before path and query are bound."""
    descriptor = binding.method.input_type
    if not binding.body:
        return functools.partial(_refuse_body, message_class)
    if binding.body == "*":
        if descriptor.full_name == HTTP_BODY:
            return functools.partial(_read_raw, message_class)
        return functools.partial(_read_whole, codec, message_class)
    field = descriptor.fields_by_name[binding.body]
    if is_message(field) and message_of(field).full_name == HTTP_BODY:
        inner = message_factory.GetMessageClass(message_of(field))
        return functools.partial(_read_raw_field, message_class, field.name, inner)
    return functools.partial(_read_field, codec, message_class, field)


def _refuse_body(message_class: type[Message], body: bytes, content_type: str) -> Message:
    del content_type
    if body.strip(_JSON_SPACE):
        # "If HttpRule.body is omitted, there is no HTTP request body" - google/api/http.proto
        raise refuse([Violation("", _UNWANTED)])
    return message_class()


def _read_whole(codec: Codec, message_class: type[Message], body: bytes, content_type: str) -> Message:
    if not body:
        return message_class()
    content.check(content_type)
    return codec.decode(body)


def _read_field(
    codec: Codec, message_class: type[Message], field: FieldDescriptor, body: bytes, content_type: str
) -> Message:
    message = message_class()
    if body:
        content.check(content_type)
        codec.set_field(message, field, parse(body, field.json_name), field.json_name)
    return message


def _read_raw(message_class: type[Message], body: bytes, content_type: str) -> Message:
    # "This message can be used both in streaming and non-streaming API methods in the request as well as the
    # response. [...] the HTTP Content-Type header value specifying the content type of the body." -
    # google/api/httpbody.proto
    return message_class(content_type=content_type, data=body)


def _read_raw_field(
    message_class: type[Message], name: str, inner: type[Message], body: bytes, content_type: str
) -> Message:
    return message_class(**{name: _read_raw(inner, body, content_type)})


def _printed(name: str) -> str:
    """Return a name that the client chose as a violation's path."""
    return name if len(name) <= SHOWN_LENGTH and _DOTTED.fullmatch(name) else step(name)
