"""Decides how a body that is not JSON becomes the request messages of a method whose client streams, piece by piece.

"This message can be used both in streaming and non-streaming API methods in the request as well as the response." -
google/api/httpbody.proto. The first message has what path, query and content type say, the others have data alone; one
is sent for an empty body, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Protocol

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gateway.bind import content
from gateway.bind.field import Target
from gateway.bind.multipart import MOST_PIECE, MultipartForm
from gateway.codec.json import Codec
from gateway.route.table import Binding
from gateway.schema.kind import HTTP_BODY, is_message, message_of
from gateway.schema.kind import resolve as resolve_path


class Reader(Protocol):
    """Turns the pieces of one body into request messages; raises RequestProblem for what does not fit."""

    def feed(self, piece: bytes) -> list[Message]:
        """Return the messages that a piece completes."""
        ...

    def finish(self) -> list[Message]:
        """Return the messages that the end of the body completes."""
        ...


Open = Callable[[Message, str], "Reader | None"]
"""Returns the reader of a body, of the first message (path and query are in it) and the content type; None for JSON."""


def compile_upload(binding: Binding, codec: Codec, most_held: int) -> Open:
    """Return how bodies of a binding are read that are not JSON; `most_held` bounds what a form may have read ahead."""
    message_class = GetMessageClass(binding.method.input_type)
    field = binding.method.input_type.fields_by_name.get(binding.body)
    whole_raw = binding.body == "*" and binding.method.input_type.full_name == HTTP_BODY
    if whole_raw or (field is not None and is_message(field) and message_of(field).full_name == HTTP_BODY):
        return lambda first, content_type: RawReader(first, field, content_type)
    if not takes_form(binding):
        return lambda _first, _content_type: None
    form = MultipartForm(message_class, codec, field, captured(binding))

    def open_form(first: Message, content_type: str) -> Reader | None:
        if content_type in content.PLAIN or content.media_type(content_type) != content.MULTIPART:
            return None
        return form.stream(first, content_type, most_held)

    return open_form


class RawReader:
    """A body that goes on as it is, in google.api.HttpBody."""

    __slots__ = ("_field", "_first", "_message_class")

    def __init__(self, first: Message, field: FieldDescriptor | None, content_type: str) -> None:
        """`field` is the one that the body is, None for the whole request."""
        self._field = field
        self._message_class: type[Message] = type(first)
        self._first: Message | None = first
        http_body: Any = first if field is None else getattr(first, field.name)
        http_body.SetInParent()
        http_body.content_type = content_type

    def feed(self, piece: bytes) -> list[Message]:
        """Return the messages of a piece of the body."""
        return [self._message(piece[at : at + MOST_PIECE]) for at in range(0, len(piece), MOST_PIECE)]

    def finish(self) -> list[Message]:
        """Return the first message if no other came: an empty body is one, too."""
        return [] if self._first is None else [self._message(b"")]

    def _message(self, data: bytes) -> Message:
        message, self._first = self._first, None
        if message is None:
            message = self._message_class()
        http_body: Any = message if self._field is None else getattr(message, self._field.name)
        http_body.data = data
        return message

    def __repr__(self) -> str:
        return f"<RawReader of {self._message_class.DESCRIPTOR.full_name} begun={self._first is None}>"


def takes_form(binding: Binding) -> bool:
    """Whether the body is a message with fields that a form may name."""
    if binding.body == "*":
        return True
    field = binding.method.input_type.fields_by_name.get(binding.body)
    return (
        field is not None
        and is_message(field)
        and not message_of(field).full_name.startswith("google.protobuf.")
    )


def captured(binding: Binding) -> Collection[Target]:
    """Return the fields that the path says."""
    descriptor = binding.method.input_type
    return [Target(resolve_path(descriptor, variable.path)) for variable in binding.template.variables]
