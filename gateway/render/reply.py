"""How a response message becomes a body: chosen once per route, from `response_body` and the message's type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from gateway.codec import Codec
from gateway.problem import RequestProblem
from gateway.route.table import Binding
from gateway.schema.kind import HTTP_BODY, is_message, message_of
from mesh.call import Code

JSON: Final = b"application/json"
_DEFAULT_TYPE: Final = b"application/octet-stream"


class Body(NamedTuple):
    """What to send."""

    content_type: bytes
    data: bytes


Render = Callable[[bytes], Body]
"""Makes a body of a response's wire bytes; raises RequestProblem (INTERNAL) when it has no such form."""
RenderMessage = Callable[[Any], Body]
"""The same, of a message."""


class Renderers(NamedTuple):
    """A route's two ways to a body."""

    wire: Render
    message: RenderMessage
    raw: bool
    """The body is the backend's own (google.api.HttpBody), not JSON."""


def compile_renderers(binding: Binding, codec: Codec) -> Renderers:
    """Return how the responses of a binding are written; `codec` is that of the method's output type."""
    field = codec.descriptor.fields_by_name[binding.response_body] if binding.response_body else None
    if field is None:
        if codec.descriptor.full_name == HTTP_BODY:
            return _by_message(codec.descriptor, _http_body, raw=True)
        encode_wire, encode = codec.encode_wire, codec.encode
        return Renderers(
            lambda wire: Body(JSON, encode_wire(wire)), lambda message: Body(JSON, encode(message)), raw=False
        )
    if is_message(field) and not field.is_repeated and message_of(field).full_name == HTTP_BODY:
        name = field.name
        return _by_message(codec.descriptor, lambda message: _http_body(getattr(message, name)), raw=True)
    return _by_message(codec.descriptor, _field_renderer(codec, field), raw=False)


def _field_renderer(codec: Codec, field: FieldDescriptor) -> RenderMessage:
    # "response_body: [...] The name of the response field whose value is mapped to the HTTP response body." -
    # google/api/http.proto. Any field will do, as in grpc-gateway; Envoy refuses all but HttpBody.
    return lambda message: Body(JSON, codec.encode_field(message, field))


def _by_message(descriptor: Any, render: RenderMessage, *, raw: bool) -> Renderers:
    message_class: type[Message] = message_factory.GetMessageClass(descriptor)

    def render_wire(wire: bytes) -> Body:
        try:
            message = message_class.FromString(wire)
        except DecodeError:
            text = f"the service answered with no valid {message_class.DESCRIPTOR.full_name}"
            raise RequestProblem(text, code=Code.INTERNAL) from None
        return render(message)

    return Renderers(render_wire, render, raw=raw)


def _http_body(message: Any) -> Body:
    content_type = message.content_type.encode("latin-1", "replace") or _DEFAULT_TYPE
    # A line break would end the header and begin another of the backend's making.
    if not content_type.isascii() or b"\r" in content_type or b"\n" in content_type:
        content_type = _DEFAULT_TYPE
    return Body(content_type, message.data)
