"""What answers an HTTP mapping of a method that streams on either side, over plain HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from google.protobuf.message import Message

from gateway.bind.field import Target
from gateway.bind.stream import Requests
from gateway.bind.upload import Reader
from gateway.edge.etag import refuse_unjudged
from gateway.edge.inbox import Inbox
from gateway.edge.watch import watch_at_once
from gateway.endpoint import Endpoint
from gateway.exchange import ANSWER, Exchange
from gateway.problem import Violation, refuse
from gateway.protocol.target import ARITIES
from gateway.render.error import headers_of
from gateway.render.framing import Framing
from gateway.render.negotiate import Acceptance
from gateway.render.stream import StreamAnswer
from gateway.schema.kind import resolve
from mesh.binding.direct_stream import DirectStream
from mesh.call import Call
from mesh.config.edge import Streaming


class StreamEndpoint(Endpoint):
    """Answers with a call that streams.

    Streams are for as long as the client stays: they have a deadline only when the client names one.
    """

    __slots__ = ("_acceptance", "_arity", "_framing", "_requests", "_resume", "_streaming")

    def __init__(
        self,
        binding: Any,
        *,
        requests: Requests | None,
        framing: Callable[[bytes], Framing],
        acceptance: Acceptance,
        last_event_id: str,
        streaming: Streaming,
        **parts: Any,
    ) -> None:
        """`requests` reads streams of them; `framing` makes one for a media type; `last_event_id` is a path in the request, empty for none."""
        super().__init__(binding, **parts)
        self._arity = ARITIES[binding.method.client_streaming, binding.method.server_streaming]
        self._requests = requests
        self._framing = framing
        self._acceptance = acceptance
        self._streaming = streaming
        self._resume = Resumption(binding, last_event_id) if last_event_id else None

    async def answer(self, exchange: Exchange, captures: Sequence[str], parent: Call) -> None:
        if exchange.noted is not None:
            refuse_unjudged(exchange.method, exchange.noted)
        query = exchange.scope["query_string"]
        requests: bytes | AsyncIterator[bytes]
        if self._requests is not None:
            reader = self._requests.reader(captures, query, exchange.content_type)
            requests = self._read(exchange, Inbox(exchange, self._streaming.idle_timeout), reader)
        else:
            body = await exchange.read_body(self._max_body)
            message = self._bind(captures, query, body, exchange.content_type)
            if self._resume is not None:
                self._resume.put(message, exchange)
            exchange.phase = ANSWER
            watch_at_once(exchange)
            requests = message.SerializeToString()
        if exchange.timeout is not None:
            parent.deadline, parent.hurried = exchange.started + exchange.timeout, True
        stream = await self._backends.find(self.method).open(
            self.method,
            requests,
            arity=self._arity,
            timeout=exchange.timeout,
            metadata=exchange.sent_metadata,
            parent=parent,
        )
        try:
            if self._arity.response_streams:
                await self._send(exchange, stream)
            else:
                await self._reply(exchange, stream)
        finally:
            stream.cancel()

    async def _read(self, exchange: Exchange, inbox: Inbox, reader: Reader) -> AsyncIterator[bytes]:
        resume = self._resume
        async for piece in inbox:
            for message in reader.feed(piece):
                if resume is not None:
                    resume.put(message, exchange)
                    resume = None
                yield message.SerializeToString()
        for message in reader.finish():
            if resume is not None:
                resume.put(message, exchange)
                resume = None
            yield message.SerializeToString()

    async def _send(self, exchange: Exchange, stream: DirectStream) -> None:
        accept = b",".join(value for name, value in exchange.scope["headers"] if name == b"accept")
        answer = StreamAnswer(
            exchange,
            stream,
            self._framing(self._acceptance[accept]),
            self._errors,
            return_headers=self._return_headers,
            keepalive=self._streaming.keepalive,
        )
        await answer.send()

    async def _reply(self, exchange: Exchange, stream: DirectStream) -> None:
        """Answer with the one response of a client's stream."""
        wire = await anext(stream, None)
        # A backend need not read all that its client sends.
        exchange.closing = exchange.closing or exchange.body_unread
        if wire is None:
            outcome = stream.outcome
            assert outcome is not None  # noqa: S101 - it has ended
            await self._errors.outcome(exchange, outcome)
            return
        content_type, data = self._renderers.wire(wire)
        headers = headers_of(exchange, content_type)
        if self._return_headers.any:
            await anext(stream, None)
            trailing = () if stream.outcome is None else stream.outcome.trailing
            headers.extend(self._return_headers.read((*await stream.initial_metadata(), *trailing)))
        await exchange.reply(200, headers, data)


class Resumption:
    """Where the `Last-Event-ID` of a client that comes back goes.

    It says more than the query does, and the `EventSource` of a browser cannot change its query: it comes back with the one
    that it began with. A value in the path is part of what is asked for, so that stays.
    """

    __slots__ = ("_in_path", "_target")

    def __init__(self, binding: Any, path: str) -> None:
        names = tuple(path.split("."))
        self._target = Target(resolve(binding.method.input_type, names))
        self._in_path = any(variable.path == names for variable in binding.template.variables)

    def put(self, message: Message, exchange: Exchange) -> None:
        """Set the field, if the client has an id; raise RequestProblem if it is none."""
        given = [value for name, value in exchange.scope["headers"] if name == b"last-event-id" and value]
        if not given:
            return
        text, target = given[-1].decode("utf-8", "replace"), self._target
        if self._in_path:
            wrong = target.disagrees(
                message, text, "the header last-event-id gives another value than the path's"
            )
        else:
            wrong = target.put(message, text)
        if wrong:
            raise refuse([Violation(target.path, wrong)])

    def __repr__(self) -> str:
        return f"<Resumption at {self._target.path}>"
