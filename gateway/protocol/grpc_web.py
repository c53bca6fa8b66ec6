"""gRPC-Web: gRPC's messages in the bodies of any HTTP version, its trailers as the last of them.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md. A call that fails before its first message is answered with
"Trailers-Only": the status is in the headers and the body is empty. Where the text form says that binary trailers are not
encoded once more in base64, they are here: a value with a line break in it would end its line, and every client decodes.
"""

from __future__ import annotations

from typing import Final

from gateway.asgi import Headers
from gateway.exchange import Exchange
from gateway.protocol import grpc_status, text
from gateway.protocol.ending import Ending
from gateway.protocol.endpoint import RequestHeaders
from gateway.protocol.envelope import pack

_TRAILERS: Final = 0x80
"""The flag of the envelope that holds the trailers."""


class GrpcWeb:
    """The dialect, as bytes or as base64 text."""

    __slots__ = ("is_text",)

    encoding = "grpc-encoding"
    accept = "grpc-accept-encoding"

    def __init__(self, *, is_text: bool) -> None:
        self.is_text = is_text

    def read_timeout(self, headers: RequestHeaders, exchange: Exchange) -> None:
        """Do nothing: every request may have a `grpc-timeout`, so it has been read."""

    def last(self, ending: Ending) -> bytes:
        # PROTOCOL-WEB.md: "Key-value pairs encoded as a HTTP/1 headers block (without the terminating newline)".
        block = b"".join(name + b": " + value + b"\r\n" for name, value in grpc_status.trailers(ending))
        return pack(_TRAILERS, block)

    def alone(self, ending: Ending) -> tuple[Headers, bytes]:
        # "Trailers may be sent together with response headers, with no message in the body."
        return grpc_status.trailers(ending), b""

    def body(self, envelopes: bytes) -> bytes:
        return text.encode(envelopes) if self.is_text else envelopes

    def __repr__(self) -> str:
        return f"<GrpcWeb {'text' if self.is_text else 'binary'}>"


def content_types(form: str, *, is_text: bool) -> tuple[bytes, ...]:
    """Return the content types of requests in a form; the first one is that of answers."""
    base = "application/grpc-web-text" if is_text else "application/grpc-web"
    named = f"{base}+{form}".encode()
    return (named, base.encode()) if form == "proto" else (named,)
