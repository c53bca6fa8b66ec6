"""What answers a WebSocket: one call of the method behind its path, of any arity, whose messages are the frames."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message

from gateway.backend import Backends
from gateway.bind.stream import Requests
from gateway.edge.body import too_large
from gateway.edge.cors import compile_origins
from gateway.edge.credential import carries_credentials
from gateway.edge.finish import Finish
from gateway.exchange import Interruption
from gateway.problem import RequestProblem
from gateway.protocol.socket_exchange import METHOD, SocketExchange
from gateway.protocol.target import ARITIES
from gateway.protocol.websocket import KEEPALIVE, Form, Frame, choose_form
from gateway.render.error import Errors, note_fault
from gateway.render.reply import Renderers
from gateway.render.status import bad_request, encode_status
from gateway.render.stream import next_message
from gateway.route.table import Binding
from mesh.binding.direct_stream import DirectStream
from mesh.call import Arity, Call, Code, Outcome
from mesh.config.edge import Streaming
from mesh.telemetry.durations import Durations

_VERBS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


def reachable(bindings: Iterable[Binding], composed: Iterable[str]) -> list[Binding]:
    """Return the bindings that handshakes reach, one for each path: those that stream first, then GET before others.

    A handshake is always a GET, so the path alone says what is asked for. Composed methods are answered over HTTP only.
    """
    plans = frozenset(composed)

    def rank(binding: Binding) -> tuple[bool, int]:
        streams = binding.method.client_streaming or binding.method.server_streaming
        verb = binding.http_method
        return not streams, _VERBS.index(verb) if verb in _VERBS else len(_VERBS)

    chosen: dict[object, Binding] = {}
    for binding in sorted(bindings, key=rank):
        if binding.full_method not in plans:
            chosen.setdefault(binding.template.shape, binding)
    return list(chosen.values())


class Messages(NamedTuple):
    """How frames become messages and messages frames."""

    requests: Requests
    renderers: Renderers


class OriginCheck:
    """Which pages may open sockets: browsers let every page, and send its visitor's cookies along."""

    __slots__ = ("_everybody", "_trusts")

    def __init__(self, allow_origins: Sequence[str]) -> None:
        # `*` lets every page have what anybody may have: not what a visitor's cookies or password open.
        self._everybody = "*" in allow_origins
        self._trusts = compile_origins(origin for origin in allow_origins if origin != "*")

    def check(self, exchange: SocketExchange) -> None:
        """Raise RequestProblem (403) for a handshake that a page of another origin asked for."""
        given: Mapping[bytes, bytes] = dict(exchange.scope["headers"])
        origin = given.get(b"origin", b"").decode("latin-1").lower()
        # RFC 6455, 10.2: "Servers that are not intended to process input from any web page but only for certain sites
        # SHOULD verify the |Origin| field". What is no browser sends none.
        if not origin or origin.partition("://")[2] == given.get(b"host", b"").decode("latin-1").lower():
            return
        if self._trusts(origin) or (self._everybody and not carries_credentials(exchange)):
            return
        text = f'a page of origin "{origin[:100]}" may not open this: cors.allow_origins does not name it'
        raise RequestProblem(text, code=Code.PERMISSION_DENIED)

    def __repr__(self) -> str:
        return f"<OriginCheck everybody={self._everybody}>"


class SocketEndpoint:
    """One mapping, as a handshake reaches it."""

    __slots__ = (
        "_arity", "_backends", "_compile", "_errors", "_limit", "_messages", "_method", "_origins", "_streaming",
        "_timeout", "durations", "finish", "path",
    )  # fmt: skip

    def __init__(
        self,
        binding: Binding,
        *,
        compile_messages: Callable[[], Messages],
        backends: Backends,
        errors: Errors,
        origins: OriginCheck,
        streaming: Streaming,
        timeout: float,
        max_message: int,
        durations: Durations,
        finish: Finish,
    ) -> None:
        """`compile_messages` is called at the first handshake: of thousands of methods few ever see one."""
        self.path = str(binding.template)
        self.durations = durations
        self.finish = finish
        self._arity = ARITIES[binding.method.client_streaming, binding.method.server_streaming]
        self._method = binding.full_method
        self._compile = compile_messages
        self._messages: Messages | None = None
        self._backends = backends
        self._errors = errors
        self._origins = origins
        self._streaming = streaming
        self._timeout = timeout
        self._limit = max_message

    async def answer(self, exchange: SocketExchange, captures: Sequence[str], parent: Call) -> None:
        """Answer a handshake; raises RequestProblem for one that is refused."""
        self._origins.check(exchange)
        messages = self._messages
        if messages is None:
            messages = self._messages = self._compile()
        whole: Message | None = None
        if not self._arity.request_streams and not messages.requests.takes_body:
            # Path and query say it all, so what is wrong with them can be said as HTTP does.
            whole = messages.requests.first(captures, exchange.scope["query_string"], b"")
        await exchange.accept(choose_form(exchange.scope.get("subprotocols") or ()))
        try:
            await self._call(exchange, messages, captures, whole, parent)
        except RequestProblem as problem:
            exchange.code, exchange.error = problem.code, problem.message
            status = encode_status(problem.code, problem.message, bad_request(problem.violations))
            await _fail(exchange, status, problem.message)
        except asyncio.CancelledError:
            if exchange.interruption is not Interruption.STOPPING:
                raise
            if exchange.task is not None:
                exchange.task.uncancel()
            await self._end(exchange, Outcome(int(Code.UNAVAILABLE), "the gateway is stopping"))
        except Exception as error:  # noqa: BLE001 - as for any request: logged, and told without its text
            text = note_fault(exchange, error)
            await _fail(exchange, encode_status(exchange.code, text), text)

    async def _call(
        self,
        exchange: SocketExchange,
        messages: Messages,
        captures: Sequence[str],
        whole: Message | None,
        parent: Call,
    ) -> None:
        frames = _Frames(exchange, messages.requests, captures, self._limit)
        requests: bytes | AsyncIterator[bytes]
        if self._arity.request_streams:
            # A client of both streams may listen for long; that it is there, the frames show that keep it alive.
            idle = None if self._arity.response_streams else self._streaming.idle_timeout
            requests = frames.stream(self._streaming.idle_timeout, idle)
        else:
            message = whole if whole is not None else await frames.only(self._streaming.idle_timeout)
            requests = message.SerializeToString()
        if exchange.timeout is not None or self._arity is Arity.UNARY_UNARY:
            asked = exchange.timeout
            parent.hurried = asked is not None
            parent.deadline = exchange.started + (self._timeout if asked is None else asked)
        stream = await self._backends.find(self._method).open(
            self._method,
            requests,
            arity=self._arity,
            timeout=exchange.timeout,
            metadata=exchange.sent_metadata,
            parent=parent,
        )
        frames.surplus = stream.fail
        try:
            if not self._arity.request_streams:
                exchange.expect_no_more(stream.fail)
            await self._relay(exchange, stream, messages.renderers)
        finally:
            stream.cancel()

    async def _relay(self, exchange: SocketExchange, stream: DirectStream, renderers: Renderers) -> None:
        async def keep_alive() -> None:
            await exchange.send_text(KEEPALIVE)

        while True:
            wire = await next_message(stream, self._streaming.keepalive, keep_alive)
            if wire is None:
                break
            if exchange.form is Form.BINARY:
                await exchange.send_binary(wire)
                continue
            data = renderers.wire(wire).data
            if renderers.raw:
                await exchange.send_binary(data)
            else:
                await exchange.send_text('{"result":' + data.decode() + "}")
        outcome = stream.outcome
        assert outcome is not None  # noqa: S101 - it has ended
        await self._end(exchange, outcome)

    async def _end(self, exchange: SocketExchange, outcome: Outcome) -> None:
        exchange.code, exchange.error = outcome.code, outcome.details
        if not outcome.code:
            await exchange.close()
            return
        await _fail(exchange, self._errors.encode(outcome), self._errors.message(outcome))

    def __repr__(self) -> str:
        return f"<SocketEndpoint {METHOD} {self.path} {self._method}>"


async def _fail(exchange: SocketExchange, status: bytes, message: str) -> None:
    await exchange.send_text('{"error":' + status.decode() + "}")
    await exchange.close(exchange.code, message)


class _Frames:
    """The request messages of one socket."""

    __slots__ = ("_captures", "_count", "_exchange", "_limit", "_requests", "surplus")

    def __init__(
        self, exchange: SocketExchange, requests: Requests, captures: Sequence[str], limit: int
    ) -> None:
        self._exchange = exchange
        self._requests = requests
        self._captures = captures
        self._limit = limit
        self._count = 0
        self.surplus: Callable[[RequestProblem], None] | None = None
        """What ends the call for a frame too many."""

    async def stream(self, first: float, idle: float | None) -> AsyncIterator[bytes]:
        """Yield messages on the wire until the client says that there are no more; seconds to wait for each."""
        while not (frame := await self._exchange.next_frame(idle if self._count else first)).ends:
            yield self._read(frame).SerializeToString()
        assert self.surplus is not None  # noqa: S101 - requests are read once the call is open
        self._exchange.expect_no_more(self.surplus)
        if not self._count and (
            self._captures or self._exchange.scope["query_string"] or not self._requests.takes_body
        ):
            yield self._nothing().SerializeToString()

    async def only(self, idle: float) -> Message:
        """Return the one message of a method that takes one."""
        frame = await self._exchange.next_frame(idle)
        return self._nothing() if frame.ends else self._read(frame)

    def _nothing(self) -> Message:
        return self._requests.first(self._captures, self._exchange.scope["query_string"], b"")

    def _read(self, frame: Frame) -> Message:
        exchange = self._exchange
        form = Form.JSON if frame.is_text else Form.BINARY
        if exchange.form is None:
            exchange.form = form
        elif exchange.form is not form:
            kind = "text" if frame.is_text else "binary"
            raise RequestProblem(
                f"frame {self._count + 1} is {kind}, and messages are {exchange.form.value} here"
            )
        if len(frame.data) > self._limit:
            raise too_large(self._limit)
        self._count += 1
        requests, query = self._requests, exchange.scope["query_string"]
        if frame.is_text:
            return (
                requests.next(frame.data)
                if self._count > 1
                else requests.first(self._captures, query, frame.data)
            )
        if self._count > 1:
            return requests.next_of_wire(frame.data)
        return requests.first_of_wire(self._captures, query, frame.data)

    def __repr__(self) -> str:
        return f"<Frames count={self._count}>"


def socket_routes(
    bindings: Iterable[Binding], composed: Iterable[str], endpoint: Callable[[Binding], SocketEndpoint]
) -> Iterable[tuple[str, Any, SocketEndpoint]]:
    """Return what a trie of handshakes is made of."""
    return ((METHOD, binding.template, endpoint(binding)) for binding in reachable(bindings, composed))
