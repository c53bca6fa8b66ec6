"""What answers one method whose messages come and go in envelopes: gRPC-Web, and Connect's streams."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from gateway.edge.finish import as_it_is
from gateway.edge.inbox import Inbox
from gateway.edge.watch import watch_at_once
from gateway.exchange import ANSWER, Exchange, Interruption
from gateway.problem import RequestProblem
from gateway.protocol.ending import Endings
from gateway.protocol.endpoint import RequestHeaders
from gateway.protocol.envelope import HEAD, Splitter
from gateway.protocol.form import Form
from gateway.protocol.framed import Dialect, FramedAnswer
from gateway.protocol.intake import read_messages
from gateway.protocol.target import Target
from gateway.protocol.text import TextReader
from mesh.binding.direct_stream import DirectStream
from mesh.call import Arity, Call, Code, Outcome
from mesh.config.edge import Compression
from mesh.telemetry.durations import Durations

_LOST: Final = Outcome(int(Code.UNKNOWN), "the stream broke off")
_BIDI: Final = Arity.STREAM_STREAM
# gRPC's statuscodes.md: of a request that should be one message and is none, or several, the server says UNIMPLEMENTED.
_CARDINALITY: Final = Code.UNIMPLEMENTED


class Way(NamedTuple):
    """How an answer goes out."""

    dialect: Dialect
    content_type: bytes


class FramedEndpoint:
    """Answers POST with one form of one method in one dialect."""

    __slots__ = (
        "_accepted", "_compression", "_endings", "_form", "_idle", "_is_text", "_target", "_way", "durations", "path",
    )  # fmt: skip

    def __init__(
        self,
        target: Target,
        form: Form,
        *,
        way: Way,
        accepted: Mapping[bytes, Way] | None = None,
        is_text: bool = False,
        endings: Endings,
        compression: Compression,
        durations: Durations,
        idle: float,
    ) -> None:
        """Take the way its answers go, and others by what clients say they accept; `is_text`: requests are base64."""
        self.path = target.method
        self.durations = durations
        self._target = target
        self._form = form
        self._way = way
        self._accepted = accepted or {}
        self._is_text = is_text
        self._endings = endings
        self._compression = compression
        self._idle = idle

    def begin(self, exchange: Exchange, headers: RequestHeaders) -> None:
        way = self._accepted.get(headers.get(b"accept", b""), self._way)
        exchange.errors = FramedAnswer(
            exchange,
            headers,
            dialect=way.dialect,
            endings=self._endings,
            content_type=way.content_type,
            compression=self._compression,
            limit=self._target.max_message,
        )

    async def answer(self, exchange: Exchange, _: Sequence[str], parent: Call) -> None:
        answer: FramedAnswer = exchange.errors
        answer.negotiate()
        # Messages are compressed one by one, so the whole is not compressed once more.
        exchange.finish, exchange.compresses = as_it_is, False
        try:
            if self._target.arity.request_streams:
                if exchange.packed:
                    text = (
                        "header content-encoding: a stream is compressed message by message, not as a whole"
                    )
                    raise RequestProblem(text, code=Code.UNIMPLEMENTED)
                inbox = Inbox(exchange, self._idle)
                requests = read_messages(inbox, answer, self._form, is_text=self._is_text)
                await self._relay(exchange, answer, await self._target.open(exchange, requests, parent))
                return
            wire = self._form.read(await self._read_one(exchange, answer))
            exchange.phase = ANSWER
            if self._target.arity.response_streams:
                watch_at_once(exchange)
                await self._relay(exchange, answer, await self._target.open(exchange, wire, parent))
                return
            reply = await self._target.call(exchange, wire, parent)
            ending = self._endings.outcome(exchange, reply.outcome)
            if ending.code:
                await answer.end(ending, self._target.leading(reply))
            else:
                message = self._form.write(reply.outcome.value)
                await answer.whole(message, self._target.leading(reply), ending)
        except asyncio.CancelledError:
            if exchange.interruption is not Interruption.STOPPING or not exchange.status:
                raise
            # The client learns that this was not the end. (Before an answer has begun, `app` says so.)
            if exchange.task is not None:
                exchange.task.uncancel()
            await answer.problem(exchange, RequestProblem("the gateway is stopping", code=Code.UNAVAILABLE))

    async def _read_one(self, exchange: Exchange, answer: FramedAnswer) -> bytes:
        limit = self._target.max_message + HEAD
        body = await exchange.read_body(limit * 4 // 3 + 8 if self._is_text else limit)
        if self._is_text:
            reader = TextReader()
            body = reader.feed(body) + reader.end()
        splitter = Splitter(self._target.max_message)
        envelopes = splitter.feed(body)
        splitter.end()
        if len(envelopes) != 1:
            raise RequestProblem(
                f"{len(envelopes)} messages were sent, and this method takes one", code=_CARDINALITY
            )
        return answer.open(envelopes[0])

    async def _relay(self, exchange: Exchange, answer: FramedAnswer, stream: DirectStream) -> None:
        """Send every message as it comes; waits while the client does not read."""
        target, write = self._target, self._form.write
        try:
            if target.arity is _BIDI:
                # Its client may wait for the headers before it says anything.
                await answer.start(await target.opened(stream))
            async for message in stream:
                body = write(message)
                if not exchange.status:
                    await answer.start(await target.opened(stream))
                await answer.message(body)
            ending = self._endings.outcome(exchange, stream.outcome or _LOST)
            await answer.end(ending, () if exchange.status else await target.opened(stream))
        except RequestProblem as problem:
            # Of a message in the middle; what has been sent cannot be taken back, but it can be said in the end.
            await answer.problem(exchange, problem)
        finally:
            stream.cancel()

    def __repr__(self) -> str:
        return f"<FramedEndpoint {self._way.content_type.decode()} {self.path}>"
