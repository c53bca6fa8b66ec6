"""How a response stream is sent: message by message as fast as its client reads, and with an end that says what it was.

Nothing is sent before the first message has come or the stream has ended, so a failure before it is an ordinary error
answer. Only a stream that is kept alive is begun sooner, when it has been silent for long.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from gateway.edge.header import ResponseHeaders
from gateway.exchange import Exchange, Interruption
from gateway.problem import RequestProblem
from gateway.render.error import Errors, headers_of
from gateway.render.framing import Framing
from gateway.render.status import bad_request, encode_status
from mesh.call import Code, Metadata, Outcome


class Responses(Protocol):
    """A call that runs; iterating ends however it ended. It is a `mesh.binding.direct_stream.DirectStream`."""

    outcome: Outcome | None
    has_opened: bool

    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def __anext__(self) -> bytes: ...
    async def initial_metadata(self) -> Metadata: ...


class BrokenStreamError(Exception):
    """A stream failed after it had begun, in a framing that cannot say so: the answer must not look complete."""


class StreamAnswer:
    """One stream on its way to its client."""

    __slots__ = ("_errors", "_exchange", "_framing", "_keepalive", "_return_headers", "_stream")

    def __init__(
        self,
        exchange: Exchange,
        stream: Responses,
        framing: Framing,
        errors: Errors,
        *,
        return_headers: ResponseHeaders,
        keepalive: float,
    ) -> None:
        self._exchange = exchange
        self._stream = stream
        self._framing = framing
        self._errors = errors
        self._return_headers = return_headers
        self._keepalive = keepalive

    async def send(self) -> None:
        """Send every message as it comes; waits while the client does not read."""
        exchange, framing = self._exchange, self._framing
        try:
            await self._relay()
        except RequestProblem as problem:
            # Of a response without a JSON form, or of a request in the middle of its stream.
            if not exchange.status:
                raise
            exchange.code, exchange.error = problem.code, problem.message
            await self._fail(encode_status(problem.code, problem.message, bad_request(problem.violations)))
            return
        except asyncio.CancelledError:
            if exchange.interruption is not Interruption.STOPPING or not exchange.status:
                raise
            # The client learns that this was not the end. (Before an answer has begun, `app` says so.)
            if exchange.task is not None:
                exchange.task.uncancel()
            await self._break_off(Outcome(int(Code.UNAVAILABLE), "the gateway is stopping"))
            return
        outcome = self._stream.outcome
        if outcome is not None and outcome.code:
            if exchange.status:
                await self._break_off(outcome)
            else:
                await self._errors.outcome(exchange, outcome)
            return
        last = framing.end()
        if not exchange.status:
            await self._start()
        if last:
            await exchange.piece(last)
        await exchange.end()

    async def _relay(self) -> None:
        exchange, framing, stream = self._exchange, self._framing, self._stream
        keeps = bool(framing.keepalive)
        while True:
            wire = await (
                next_message(stream, self._keepalive, self._keep_alive) if keeps else anext(stream, None)
            )
            if wire is None:
                return
            data = framing.message(wire)
            if not exchange.status:
                await self._start()
            if exchange.method == "HEAD":
                return
            await exchange.piece(data)

    async def _keep_alive(self) -> None:
        if not self._exchange.status:
            await self._start()
        await self._exchange.piece(self._framing.keepalive)

    async def _start(self) -> None:
        exchange = self._exchange
        headers = headers_of(exchange, self._framing.content_type)
        # Proxies that buffer answers (nginx) would hold the messages back, and those that keep them would repeat them.
        headers += [(b"x-accel-buffering", b"no"), (b"cache-control", b"no-store"), (b"vary", b"accept")]
        if self._return_headers.any and self._stream.has_opened:
            headers.extend(self._return_headers.read(await self._stream.initial_metadata()))
        await exchange.start(200, headers)

    async def _break_off(self, outcome: Outcome) -> None:
        self._exchange.code, self._exchange.error = outcome.code, outcome.details
        await self._fail(self._errors.encode(outcome))

    async def _fail(self, status: bytes) -> None:
        last = self._framing.error(status)
        if last is None:
            raise BrokenStreamError(self._exchange.error)
        await self._exchange.piece(last)
        await self._exchange.end()

    def __repr__(self) -> str:
        return f"<StreamAnswer {self._framing!r} of {self._stream!r}>"


async def next_message(
    stream: Responses, silence: float, keep_alive: Callable[[], Awaitable[None]]
) -> bytes | None:
    """Return the next message, None at the end; whenever it has not come for so many seconds, keep alive."""
    coming = asyncio.ensure_future(_next_of(stream))
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=silence)
            if done:
                return coming.result()
            await keep_alive()
    finally:
        coming.cancel()


async def _next_of(stream: Responses) -> bytes | None:
    return await anext(stream, None)
