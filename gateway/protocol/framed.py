"""How an answer of messages in envelopes is sent, and closed with a status: what gRPC-Web and Connect's streams share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.asgi import Headers
from gateway.edge.compression import Coding, compress
from gateway.edge.unpacking import unpack
from gateway.exchange import Exchange
from gateway.problem import RequestProblem
from gateway.protocol import coding
from gateway.protocol.coding import ACCEPTED
from gateway.protocol.ending import Ending, Endings
from gateway.protocol.endpoint import RequestHeaders
from gateway.protocol.envelope import COMPRESSED, Envelope, pack
from gateway.render.error import headers_of
from mesh.call import Code
from mesh.config.edge import Compression


class Dialect(Protocol):
    """What one protocol says in its own way."""

    @property
    def encoding(self) -> str:
        """The header that names how messages are compressed."""

    @property
    def accept(self) -> str:
        """The header that lists how they may be."""

    def read_timeout(self, headers: RequestHeaders, exchange: Exchange) -> None:
        """Take over a deadline that is in none of the headers every request may have."""

    def last(self, ending: Ending) -> bytes:
        """Return the envelope that ends an answer."""

    def alone(self, ending: Ending) -> tuple[Headers, bytes]:
        """Return headers and body of an answer that has no message."""

    def body(self, envelopes: bytes) -> bytes:
        """Return whole envelopes as they travel."""


class FramedAnswer:
    """The answer to one request; also who words its refusal."""

    __slots__ = (
        "_coding", "_compression", "_content_type", "_dialect", "_endings", "_exchange", "_sent", "headers", "limit",
    )  # fmt: skip

    def __init__(
        self,
        exchange: Exchange,
        headers: RequestHeaders,
        *,
        dialect: Dialect,
        endings: Endings,
        content_type: bytes,
        compression: Compression,
        limit: int,
    ) -> None:
        self.headers = headers
        self._exchange = exchange
        self._dialect = dialect
        self._endings = endings
        self._content_type = content_type
        self._compression = compression
        self.limit = limit
        self._sent: Coding | None = None
        """How the client compresses."""
        self._coding: Coding | None = None
        """How we do."""

    # Reading

    def negotiate(self) -> None:
        """Read what the headers say of compression and time; raises RequestProblem."""
        dialect, headers = self._dialect, self.headers
        dialect.read_timeout(headers, self._exchange)
        self._sent = coding.find(f"header {dialect.encoding}", headers.get(dialect.encoding.encode()))
        if self._compression.enabled:
            self._coding = coding.choose(headers.get(dialect.accept.encode()), self._sent)

    def open(self, envelope: Envelope) -> bytes:
        """Return the message in an envelope; raises RequestProblem."""
        flags, data = envelope
        if flags == 0:
            return data
        if flags != COMPRESSED:
            raise RequestProblem(
                f"flags {flags:#04x} before a message: only 0x00 and 0x01 are known in requests"
            )
        if self._sent is None:
            # "If a message has the Compressed-Flag set and [no encoding was named], INTERNAL" - gRPC's compression.md
            text = f"a message is marked as compressed, and header {self._dialect.encoding} does not say how"
            raise RequestProblem(text, code=Code.INTERNAL)
        # "must not attempt to decompress zero-length" content - the Connect protocol
        return unpack(self._sent.value, data, self.limit) if data else data

    # Answering

    async def whole(self, message: bytes, leading: Headers, ending: Ending) -> None:
        """Send an answer of one message at once."""
        body = self._envelope(message) + self._dialect.last(ending)
        await self._exchange.reply(200, self._opening(leading), self._dialect.body(body))

    async def start(self, leading: Headers) -> None:
        """Begin an answer of any number of messages."""
        headers = self._opening(leading)
        # Proxies that buffer answers (nginx) would hold the messages back.
        headers.append((b"x-accel-buffering", b"no"))
        await self._exchange.start(200, headers)

    async def message(self, message: bytes) -> None:
        """Send the next message; returns when the client keeps up."""
        await self._exchange.piece(self._dialect.body(self._envelope(message)))

    async def end(self, ending: Ending, leading: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """End the answer, whether it has begun or not."""
        exchange, dialect = self._exchange, self._dialect
        if exchange.status:
            await exchange.piece(dialect.body(dialect.last(ending)))
            await exchange.end()
            return
        headers, body = dialect.alone(ending)
        exchange.closing = exchange.closing or exchange.body_unread
        await exchange.reply(200, self._opening([*leading, *headers]), dialect.body(body))

    async def problem(self, exchange: Exchange, problem: RequestProblem) -> None:
        await self.end(self._endings.problem(exchange, problem))

    async def fault(self, exchange: Exchange, error: Exception) -> None:
        await self.end(self._endings.fault(exchange, error))

    def _opening(self, more: Headers) -> Headers:
        headers = headers_of(self._exchange, self._content_type)
        if self._coding is not None:
            headers.append((self._dialect.encoding.encode(), self._coding.value.encode()))
        headers.append((self._dialect.accept.encode(), ACCEPTED))
        headers.extend(more)
        return headers

    def _envelope(self, message: bytes) -> bytes:
        if self._coding is not None and len(message) >= self._compression.min_bytes:
            return pack(COMPRESSED, compress(self._coding, message))
        return pack(0, message)

    def __repr__(self) -> str:
        return f"<FramedAnswer {self._content_type.decode()} to {self._exchange!r}>"
