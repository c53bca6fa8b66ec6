"""Whatever a handler or a stage raises, wherever it does: the call ends, every other stage settles, the next call is served."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any, Final

import grpc
import grpc.aio
import pytest

import mesh
import mesh.sync
from mesh.binding.runtime import Runtime
from mesh.call import Arity, Call, Direction, Outcome, Side
from mesh.order import ORDER, Span
from tests.weather.invariant import Ledger, calm, taken, unsettled
from tests.weather.relay import METHODS, SERVICE, Relay, quiet


@pytest.fixture(autouse=True)
def without_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep grpc from reporting what handlers raise: among it is what pytest-xdist cannot hand on."""
    for name in ("grpc._cython.cygrpc", "grpc._server"):
        monkeypatch.setattr(logging.getLogger(name), "disabled", True)


class UnprintableError(Exception):
    """Raises when it is asked what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class SurrogateError(Exception):
    """Says what no wire can carry."""

    def __str__(self) -> str:
        return "\ud800"


class Base(BaseException):
    """No Exception."""


RAISED: Final = (
    RuntimeError("broken"),
    RecursionError("maximum recursion depth exceeded"),
    MemoryError(),
    StopIteration("stop"),
    StopAsyncIteration("stop"),
    GeneratorExit(),
    TimeoutError("too long"),
    asyncio.CancelledError("not by the client"),
    grpc.RpcError("not by grpc"),
    ExceptionGroup("several", [ValueError(1), KeyError(2)]),
    UnprintableError(),
    SurrogateError(),
    Base("nobody catches this"),
)


def ids(error: BaseException) -> str:
    return type(error).__name__


def is_quiet(error: BaseException) -> bool:
    """Whether grpc sends no status for it: it is no Exception, or has no words that a wire can carry."""
    return type(error) is SurrogateError or not isinstance(error, Exception)


def raising(relay: Relay, error: BaseException) -> None:
    """Have the front's handlers raise it when they are asked to."""

    async def act(request: bytes, context: Any) -> bytes:
        if request == b"raise":
            raise error
        return request

    relay.front.onward, relay.front.act = None, act


@pytest.mark.parametrize("error", RAISED, ids=ids)
@pytest.mark.parametrize("arity", Arity)
async def test_a_handler_raises(tmp_path, arity, error):
    """With what is no Exception, or has no words, grpc.aio sends no status: the client waits for its deadline."""
    relay = Relay(tmp_path)
    async with relay.running():
        raising(relay, error)
        await relay.call(arity, wait_for_ready=True)
        with pytest.raises(grpc.RpcError) as caught:
            await relay.call(arity, b"raise", timeout=0.3 if is_quiet(error) else 30.0)
        await relay.call(arity)
        await calm(lambda: relay.wrong)

    expected = {grpc.StatusCode.DEADLINE_EXCEEDED if is_quiet(error) else grpc.StatusCode.UNKNOWN}
    if arity is Arity.STREAM_STREAM:
        # "Internal error from Core": a client's write that races the end of the call (mesh/binding/README.md, 9).
        expected.add(grpc.StatusCode.INTERNAL)
    assert caught.value.code() in expected


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)], ids=ids)
def test_a_handler_ends_the_process(tmp_path, error):
    """The event loop raises it wherever it runs; what was begun is settled before."""
    relay = Relay(tmp_path)
    stack = contextlib.AsyncExitStack()

    async def begin() -> None:
        await stack.enter_async_context(relay.running())
        raising(relay, error)
        await relay.call(Arity.UNARY_UNARY, wait_for_ready=True)

    async def call(request: bytes) -> None:
        with contextlib.suppress(grpc.RpcError):
            await relay.call(Arity.UNARY_UNARY, request, timeout=0.3)

    async def settle() -> None:
        await calm(lambda: relay.wrong)

    with asyncio.Runner() as runner:
        runner.run(begin())
        with pytest.raises(type(error)):
            runner.run(call(b"raise"))
        # grpc's tasks raise it once each.
        for _ in range(5):
            with contextlib.suppress(KeyboardInterrupt, SystemExit):
                runner.run(settle())
        runner.run(settle())
        runner.run(stack.aclose())


class Threads:
    """A plain grpc server of the mesh whose handlers raise something when they are asked to."""

    def __init__(
        self, using: Runtime, error: BaseException | None = None, stages: Sequence[Any] = ()
    ) -> None:
        self.using = using
        self.error = error
        self.ledger = Ledger()
        placed = [*self.ledger.stages(client=False), *stages]
        self._server = mesh.sync.server(
            "front", listen="127.0.0.1:0", lame_duck=0.0, using=using, stages=placed
        )

    def _act(self, request: bytes) -> bytes:
        if request == b"raise" and self.error is not None:
            raise self.error
        return request

    def _stream(self, request: bytes, context: Any) -> Iterator[bytes]:
        for _ in range(2):
            yield self._act(request)

    @contextlib.contextmanager
    def running(self) -> Iterator[str]:
        handlers = {
            "Ask": grpc.unary_unary_rpc_method_handler(lambda request, context: self._act(request)),
            "AskElse": grpc.unary_unary_rpc_method_handler(lambda request, context: b"else"),
            "Watch": grpc.unary_stream_rpc_method_handler(self._stream),
            "Send": grpc.stream_unary_rpc_method_handler(lambda requests, context: self._act(next(requests))),
            "SendElse": grpc.stream_unary_rpc_method_handler(lambda requests, context: b"else"),
            "Talk": grpc.stream_stream_rpc_method_handler(
                lambda requests, context: (self._act(request) for request in requests)
            ),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self._server.add_registered_method_handlers(SERVICE, handlers)
        address = self._server.start()
        try:
            yield address
        finally:
            self._server.stop().wait()


def ask(
    channel: Any, arity: Arity, request: bytes = b"ok", timeout: float = 30.0, **options: Any
) -> list[bytes]:
    method = getattr(channel, arity.value)(METHODS[arity])
    requests = iter([request]) if arity.request_streams else request
    answer = method(requests, timeout=timeout, wait_for_ready=True, **options)
    return list(answer) if arity.response_streams else [answer]


@pytest.mark.parametrize("error", [*RAISED, KeyboardInterrupt(), SystemExit(3)], ids=ids)
@pytest.mark.parametrize("arity", Arity)
async def test_a_handler_in_a_thread_raises(tmp_path, arity, error):
    using = quiet(Relay(tmp_path).front.file)
    client = Ledger()

    def calls(address: str) -> grpc.StatusCode:
        with mesh.sync.channel(address, using=using, stages=client.stages(client=True)) as channel:
            ask(channel, arity)
            with pytest.raises(grpc.RpcError) as caught:
                ask(channel, arity, b"raise", 0.5 if is_quiet(error) else 30.0)
            ask(channel, arity)
        return caught.value.code()

    server = Threads(using, error)
    with server.running() as address:
        code = await asyncio.to_thread(calls, address)
        await calm(lambda: taken(using) | unsettled(client, server.ledger))
    assert is_quiet(error) is (code is grpc.StatusCode.DEADLINE_EXCEEDED)


class Faulty(mesh.Stage):
    """Raises in one of its methods, for calls that ask for it."""

    name = "faulty"

    def __init__(self, hook: str, error: BaseException) -> None:
        self._hook = hook
        self._error = error

    def _do(self, hook: str, call: Call) -> None:
        if hook == self._hook and ("break", "1") in tuple(call.metadata):
            raise self._error

    def admit(self, call: Call, now: float) -> Outcome | object:
        self._do("admit", call)
        return None

    def settle(self, call: Call, ticket: Any, outcome: Outcome, now: float) -> None:
        self._do("settle", call)


class FaultyListener(Faulty):
    def message(
        self, call: Call, ticket: Any, message: Any, direction: Direction, now: float
    ) -> Outcome | None:
        self._do(f"message {direction.value}", call)
        return None


HOOKS: Final = ("admit", "settle", "message sent", "message received")


def places(side: Side, hook: str) -> list[tuple[str, Any]]:
    """Return every place of the side where a stage can have the hook."""
    spans = {Span.CALL: "call", Span.ATTEMPT: "attempt"}
    return [
        (slot.name, spans[slot.span])
        for slot in ORDER
        if side in slot.sides
        and slot.span in spans
        and not (hook.startswith("message") and slot.span is Span.ATTEMPT)
    ]


def faulty(hook: str, after: str, per: Any, error: BaseException) -> Any:
    kind = FaultyListener if hook.startswith("message") else Faulty
    return mesh.place(kind(hook, error), after=after, per=per)


BREAK: Final = (("break", "1"),)


async def at_one_place(relay: Relay, name: str, *, code: grpc.StatusCode | None) -> None:
    """Break a call of each arity, between two that are whole; the broken one ends with the code, None: well."""
    async with relay.running():
        relay.front.onward = None
        for arity in Arity:
            await relay.call(arity, wait_for_ready=True)
            ended = None
            try:
                await relay.call(arity, metadata=BREAK, timeout=5)
            except grpc.RpcError as failed:
                ended = failed.code()
            assert ended is code, (name, arity)
            await relay.call(arity)
            await calm(lambda: relay.wrong)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("side", Side)
async def test_a_stage_raises(tmp_path, side, hook):
    """At every place, in each of its methods: the call fails, unless it has ended already."""
    for name, per in places(side, hook):
        relay = Relay(tmp_path)
        broken = faulty(hook, name, per, RuntimeError("broken"))
        (relay if side is Side.CLIENT else relay.front).stages.append(broken)
        await at_one_place(relay, name, code=None if hook == "settle" else grpc.StatusCode.INTERNAL)


@pytest.mark.parametrize(("name", "per"), places(Side.CLIENT, "admit"))
async def test_a_stage_raises_what_is_no_exception(tmp_path, name, per):
    """Whoever calls gets it, and the stages that were passed before have settled."""
    relay = Relay(tmp_path)
    relay.stages.append(faulty("admit", name, per, Base("broken")))
    async with relay.running():
        for arity in Arity:
            with pytest.raises(Base):
                await relay.call(arity, metadata=BREAK, timeout=5)
            await relay.call(arity, wait_for_ready=True)
        await calm(lambda: relay.wrong)


async def at_one_place_in_threads(using: Runtime, on_client: list[Any], on_server: list[Any]) -> list[Arity]:
    """Do the same with plain grpc; return the arities whose broken call ended well."""
    client, server = Ledger(), Threads(using, stages=on_server)

    def calls(address: str) -> list[Arity]:
        passed = []
        stages = [*client.stages(client=True), *on_client]
        with mesh.sync.channel(address, using=using, stages=stages) as channel:
            for arity in Arity:
                ask(channel, arity)
                with contextlib.suppress(grpc.RpcError):
                    ask(channel, arity, metadata=BREAK)
                    passed.append(arity)
                ask(channel, arity)
        return passed

    with server.running() as address:
        passed = await asyncio.to_thread(calls, address)
        await calm(lambda: taken(using) | unsettled(client, server.ledger))
    return passed


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("side", Side)
async def test_a_stage_raises_in_a_thread(tmp_path, side, hook):
    using = quiet(Relay(tmp_path).front.file)
    for name, per in places(side, hook):
        broken = [faulty(hook, name, per, RuntimeError("broken"))]
        passed = await at_one_place_in_threads(
            using, broken if side is Side.CLIENT else [], broken if side is Side.SERVER else []
        )
        assert (list(Arity) if hook == "settle" else []) == passed, name
