"""Connect's streams: messages in envelopes, the last of which says how the call ended.

https://connectrpc.com/docs/protocol/#streaming-rpcs. "Streaming responses always have an HTTP status of 200 OK."
"""

from __future__ import annotations

from typing import Final

from gateway.asgi import Headers
from gateway.exchange import Exchange
from gateway.protocol import connect_error, connect_header
from gateway.protocol.ending import Ending
from gateway.protocol.endpoint import RequestHeaders
from gateway.protocol.envelope import pack

_END: Final = 0x02
"""The flag of the envelope that holds an EndStreamResponse."""


class ConnectStream:
    """The dialect."""

    __slots__ = ()

    encoding = "connect-content-encoding"
    accept = "connect-accept-encoding"
    is_text = False

    def read_timeout(self, headers: RequestHeaders, exchange: Exchange) -> None:
        connect_header.check_version(headers)
        connect_header.read_timeout(headers, exchange)

    def last(self, ending: Ending) -> bytes:
        return pack(_END, connect_error.encode_end(ending))

    def alone(self, ending: Ending) -> tuple[Headers, bytes]:
        return [], self.last(ending)

    def body(self, envelopes: bytes) -> bytes:
        return envelopes

    def __repr__(self) -> str:
        return "<ConnectStream>"
