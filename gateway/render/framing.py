"""How the messages of a stream follow each other in a body, and how its end is told from a failure, for each framing.

    framing              a message                     the end                     a failure
    NDJSON               {"result": ...} line          the body's own end          {"error": ...} line
    server-sent events   data, with an id if any       event "end"                 event "error"
    JSON array           an item                       the closing bracket         no bracket, and the body breaks off
    raw bytes            the backend's bytes           the body's own end          the body breaks off

The HTTP status has long been sent when a stream fails, so a failure is a google.rpc.Status in the body where the framing
has a place for it; where it has none, the body must not look complete.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final, Protocol

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from gateway.problem import RequestProblem
from gateway.render.reply import JSON, Renderers
from gateway.schema.kind import resolve
from mesh.call import Code

NDJSON: Final = b"application/x-ndjson"
EVENTS: Final = b"text/event-stream"

EventId = Callable[[Any], str]
"""Returns the id of a message as an event; empty for none."""

_BREAKS: Final = frozenset("\r\n\0")


class Framing(Protocol):
    """One stream on its way out. Methods return what is to be sent."""

    content_type: bytes
    keepalive: bytes
    """What is sent when there is nothing to send; empty for nothing."""

    def message(self, wire: bytes) -> bytes: ...
    def end(self) -> bytes: ...

    def error(self, status: bytes) -> bytes | None:
        """Return how the stream says that it failed; None if it cannot."""
        ...


class Lines:
    """Newline-delimited JSON, as grpc-gateway writes it."""

    __slots__ = ("_render",)
    content_type = NDJSON
    keepalive = b""

    def __init__(self, renderers: Renderers) -> None:
        self._render = renderers.wire

    def message(self, wire: bytes) -> bytes:
        return b'{"result":' + self._render(wire).data + b"}\n"

    def error(self, status: bytes) -> bytes:
        return b'{"error":' + status + b"}\n"

    def end(self) -> bytes:
        return b""

    def __repr__(self) -> str:
        return "<Lines>"


class Array:
    """One JSON array, as Envoy writes it."""

    __slots__ = ("_begun", "_render")
    content_type = JSON
    keepalive = b""

    def __init__(self, renderers: Renderers) -> None:
        self._render = renderers.wire
        self._begun = False

    def message(self, wire: bytes) -> bytes:
        data = (b"," if self._begun else b"[") + self._render(wire).data
        self._begun = True
        return data

    def error(self, status: bytes) -> None:
        """Say nothing: whatever came here would be an item."""

    def end(self) -> bytes:
        return b"]" if self._begun else b"[]"

    def __repr__(self) -> str:
        return f"<Array begun={self._begun}>"


class Events:
    """Server-sent events, as the HTML standard defines them."""

    __slots__ = ("_class", "_event_id", "_renderers")
    content_type = EVENTS
    # "Authors can include a comment line (one starting with a ':' character) every 15 seconds or so." - HTML, 9.2.7
    keepalive = b":\n\n"

    def __init__(self, renderers: Renderers, message_class: Any, event_id: EventId | None) -> None:
        self._renderers = renderers
        self._class = message_class
        self._event_id = event_id

    def message(self, wire: bytes) -> bytes:
        # JSON of ours is one line.
        if self._event_id is None:
            return b"data: " + self._renderers.wire(wire).data + b"\n\n"
        try:
            message = self._class.FromString(wire)
        except DecodeError:
            text = f"the service answered with no valid {self._class.DESCRIPTOR.full_name}"
            raise RequestProblem(text, code=Code.INTERNAL) from None
        name = self._event_id(message)
        if not _BREAKS.isdisjoint(name):
            # "If the field value does not contain U+0000 NULL, then set the last event ID buffer" - HTML, 9.2.6; and a line
            # break would end the field.
            raise RequestProblem(
                f"{name[:40]!r} cannot be the id of an event: it has line breaks", code=Code.INTERNAL
            )
        data = b"data: " + self._renderers.message(message).data + b"\n\n"
        return b"id: " + name.encode() + b"\n" + data if name else data

    def error(self, status: bytes) -> bytes:
        return b"event: error\ndata: " + status + b"\n\n"

    def end(self) -> bytes:
        return b"event: end\ndata: {}\n\n"

    def __repr__(self) -> str:
        return "<Events>"


class Raw:
    """The backend's own bytes: google.api.HttpBody."""

    __slots__ = ("_render", "content_type")
    keepalive = b""

    def __init__(self, renderers: Renderers) -> None:
        self._render = renderers.wire
        self.content_type = b""

    def message(self, wire: bytes) -> bytes:
        content_type, data = self._render(wire)
        # The first message's; "application/octet-stream" of a stream without one.
        self.content_type = self.content_type or content_type
        return data

    def error(self, status: bytes) -> None:
        """Say nothing: whatever came here would be content."""

    def end(self) -> bytes:
        self.content_type = self.content_type or b"application/octet-stream"
        return b""

    def __repr__(self) -> str:
        return "<Raw>"


def compile_framings(
    method: MethodDescriptor, renderers: Renderers, event_id: str
) -> Callable[[bytes], Framing]:
    """Return what makes the framing of a media type; `event_id` is a path in the response, empty for none."""
    if renderers.raw:
        return lambda _: Raw(renderers)
    message_class = GetMessageClass(method.output_type)
    read_id = compile_event_id(method.output_type, event_id) if event_id else None

    def make(media_type: bytes) -> Framing:
        if media_type == EVENTS:
            return Events(renderers, message_class, read_id)
        return Array(renderers) if media_type == JSON else Lines(renderers)

    return make


def compile_event_id(descriptor: Any, path: str) -> EventId:
    """Return what reads the scalar at a path as text, which `Last-Event-ID` brings back."""
    fields = resolve(descriptor, path.split("."))
    *parents, last = fields

    def read(message: Any) -> str:
        for field in parents:
            if not message.HasField(field.name):
                return ""
            message = getattr(message, field.name)
        if last.has_presence and not message.HasField(last.name):
            return ""
        value = getattr(message, last.name)
        if isinstance(value, bytes):
            return base64.b64encode(value).decode()
        return str(value).lower() if isinstance(value, bool) else str(value)

    return read
