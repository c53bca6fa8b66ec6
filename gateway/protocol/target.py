"""How a request of any protocol reaches its method: the calls behind it, their deadline, and the metadata that comes back."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Final

from google.protobuf.descriptor import MethodDescriptor

from gateway.asgi import Headers
from gateway.backend import Backends
from gateway.compose import Plan
from gateway.composed import answer_composed
from gateway.edge.header import ResponseHeaders
from gateway.exchange import Exchange
from mesh.binding.direct import Reply
from mesh.binding.direct_stream import DirectStream
from mesh.call import Arity, Call

ARITIES: Final = {
    (False, False): Arity.UNARY_UNARY,
    (False, True): Arity.UNARY_STREAM,
    (True, False): Arity.STREAM_UNARY,
    (True, True): Arity.STREAM_STREAM,
}


class Target:
    """One method, called with the wire form of its request."""

    __slots__ = ("_backends", "_plan", "_return_headers", "_timeout", "arity", "max_message", "method")

    def __init__(
        self,
        descriptor: MethodDescriptor,
        *,
        plan: Plan | None,
        backends: Backends,
        return_headers: ResponseHeaders,
        timeout: float,
        max_message: int,
    ) -> None:
        self.method = f"/{descriptor.containing_service.full_name}/{descriptor.name}"
        self.arity = ARITIES[descriptor.client_streaming, descriptor.server_streaming]
        self.max_message = max_message
        """Bytes a request message may have."""
        self._plan = plan
        self._backends = backends
        self._return_headers = return_headers
        self._timeout = timeout

    async def call(self, exchange: Exchange, wire: bytes, parent: Call) -> Reply:
        """Call a unary method; the outcome's value is the response's wire form."""
        asked = exchange.timeout
        parent.hurried = asked is not None and asked < self._timeout
        parent.deadline = exchange.started + (self._timeout if asked is None else min(asked, self._timeout))
        metadata = exchange.sent_metadata
        if self._plan is not None:
            outcome = await answer_composed(
                self._plan,
                self._backends,
                wire,
                deadline=parent.deadline,
                metadata=metadata,
                parent=parent,
            )
            return Reply(outcome)
        direct = self._backends.find(self.method)
        if self._return_headers.any:
            return await direct.reply(self.method, wire, timeout=asked, metadata=metadata, parent=parent)
        return Reply(await direct.unary(self.method, wire, timeout=asked, metadata=metadata, parent=parent))

    async def open(
        self, exchange: Exchange, requests: bytes | AsyncIterable[bytes], parent: Call
    ) -> DirectStream:
        """Start a method with a stream."""
        # Streams are for as long as the client stays: they have a deadline only when the client names one.
        if exchange.timeout is not None:
            parent.deadline, parent.hurried = exchange.started + exchange.timeout, True
        return await self._backends.find(self.method).open(
            self.method,
            requests,
            arity=self.arity,
            timeout=exchange.timeout,
            metadata=exchange.sent_metadata,
            parent=parent,
        )

    async def opened(self, stream: DirectStream) -> Headers:
        """Return the metadata before a stream's messages that the client may see."""
        if not self._return_headers.any:
            return []
        return self._return_headers.read(await stream.initial_metadata())

    def leading(self, reply: Reply) -> Headers:
        """Return the metadata before a reply that the client may see."""
        return self._return_headers.read(reply.initial) if self._return_headers.any else []

    def __repr__(self) -> str:
        return f"<Target {self.method} {self.arity.value}>"
