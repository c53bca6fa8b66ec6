"""Hedged calls to real servers: the slow attempt is overtaken, cancelled, and its server sees that."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

import mesh
from mesh.binding.destination import Destination
from mesh.binding.direct import Direct
from mesh.binding.runtime import Runtime
from mesh.call import Arity, Side
from mesh.telemetry.instruments import CLIENT_HEDGES, RESULT

from .node import GET, Node, running, runtime, until
from .test_cancellation import taken

HEDGE = "hedge: {delay: 0.05s, scope: RETRY_SCOPE_ALL}, circuit_breaker: {enabled: false}"
POLICIES = f"defaults: {{{HEDGE}, retry: {{budget: {{min_per_second: 1000}}}}}}"
RETRY = "defaults: {circuit_breaker: {enabled: false}, retry: {scope: RETRY_SCOPE_ALL}}"


METHOD = "/race.Service/Method"


class Backend:
    """Answers each call as the test's script says, by the number of the call."""

    def __init__(self, arity: Arity) -> None:
        self.arity = arity
        self.calls = 0
        self.cancelled = asyncio.Event()
        self.metadata: list[dict[str, Any]] = []
        self.script = self.answer

    async def answer(self, number: int, context: Any) -> list[bytes]:
        return [b"one", b"two"]

    async def hang(self, number: int, context: Any) -> list[bytes]:
        await asyncio.Event().wait()
        return []

    async def _run(self, request: Any, context: Any) -> list[bytes]:
        self.calls += 1
        number = self.calls
        self.metadata.append(dict(context.invocation_metadata()))
        try:
            if self.arity.request_streams:
                async for _ in request:
                    pass
            return await self.script(number, context)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def _single(self, request: Any, context: Any) -> bytes:
        return (await self._run(request, context))[0]

    async def _stream(self, request: Any, context: Any) -> AsyncIterator[bytes]:
        for message in await self._run(request, context):
            yield message

    def handler(self) -> grpc.RpcMethodHandler:
        body = self._stream if self.arity.response_streams else self._single
        return getattr(grpc, f"{self.arity.value}_rpc_method_handler")(body)


class Cell:
    """A server of one method, and one of the ways to call it."""

    def __init__(self, arity: Arity, way: str) -> None:
        self.arity, self.way = arity, way
        self.backend = Backend(arity)
        self.using = runtime(POLICIES)
        self.channel: Any = None

    def start(self, request: Any = None, **options: Any) -> Any:
        if request is None:
            request = [b"a"] if self.arity.request_streams else b"a"
        return getattr(self.channel, self.arity.value)(METHOD)(request, **options)

    async def collect(self, call: Any) -> list[bytes]:
        return [message async for message in call] if self.arity.response_streams else [await call]

    async def call(self, **options: Any) -> list[bytes]:
        if self.way != "direct":
            return await self.collect(self.start(**options))
        direct = Direct(Destination(self.channel, self.using.chains(Side.CLIENT, "direct")))
        if self.arity.response_streams:
            return [message async for message in await direct.stream(METHOD, b"a", **options)]
        outcome = await direct.unary(METHOD, b"a", **options)
        if outcome.code:
            raise outcome.error or AssertionError(outcome)
        return [outcome.value]

    @property
    def expected(self) -> list[bytes]:
        return [b"one", b"two"] if self.arity.response_streams else [b"one"]


@contextlib.asynccontextmanager
async def opened(arity: Arity, way: str) -> AsyncIterator[Cell]:
    cell = Cell(arity, way)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handlers = {"Method": cell.backend.handler()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("race.Service", handlers),))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    if way == "channel":
        channel = mesh.channel(address, using=cell.using)
    else:
        mine = mesh.client_interceptors("own", using=cell.using) if way == "interceptors" else []
        # gRPC's core takes `grpc-previous-rpc-attempts` for its own to write, unless its retries are off.
        options = [("grpc.enable_retries", 0)]
        channel = grpc.aio.insecure_channel(address, interceptors=mine, options=options)
    async with channel as cell.channel:
        try:
            yield cell
        finally:
            await server.stop(None)


WAYS = [
    *((arity, way) for arity in Arity for way in ("channel", "interceptors")),
    (Arity.UNARY_UNARY, "direct"),
    (Arity.UNARY_STREAM, "direct"),
]


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0].value}-{way[1]}")
async def cell(request: pytest.FixtureRequest) -> AsyncIterator[Cell]:
    async with opened(*request.param) as cell:
        yield cell


async def idle(using: Runtime) -> None:
    gc.collect()  # grpc.aio's intercepted calls are in reference cycles
    await until(lambda: not taken(using))


def hangs(backend: Backend, *numbers: int):
    """Calls of these numbers hang; the others answer."""

    async def script(number, context):
        return await (backend.hang if number in numbers else backend.answer)(number, context)

    return script


async def test_a_slow_attempt_is_overtaken_and_its_server_sees_it_cancelled(cell):
    cell.backend.script = hangs(cell.backend, 1)

    assert cell.expected == await asyncio.wait_for(cell.call(), 10)

    await asyncio.wait_for(cell.backend.cancelled.wait(), 5)
    assert 2 == cell.backend.calls
    await idle(cell.using)


async def test_servers_are_told_how_many_attempts_came_before(cell):
    cell.backend.script = hangs(cell.backend, 1)

    await asyncio.wait_for(cell.call(), 10)

    assert [None, "1"] == [sent.get("grpc-previous-rpc-attempts") for sent in cell.backend.metadata]


async def test_the_first_attempt_may_win(cell):
    async def script(number, context):
        await asyncio.sleep(0.15 if number == 1 else 30)
        return await cell.backend.answer(number, context)

    cell.backend.script = script

    assert cell.expected == await asyncio.wait_for(cell.call(), 10)

    await asyncio.wait_for(cell.backend.cancelled.wait(), 5)
    await idle(cell.using)


async def test_a_failure_that_does_not_decide_starts_the_next_at_once(cell):
    async def script(number, context):
        if number == 1:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "once")
        return await cell.backend.answer(number, context)

    cell.backend.script = script

    assert cell.expected == await asyncio.wait_for(cell.call(), 10)
    assert 2 == cell.backend.calls


async def test_when_all_fail_the_caller_gets_the_last_error(cell):
    async def script(number, context):
        context.set_trailing_metadata((("who", str(number)),))
        await context.abort(grpc.StatusCode.UNAVAILABLE, f"attempt {number}")

    cell.backend.script = script

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(cell.call(), 10)

    assert (grpc.StatusCode.UNAVAILABLE, "attempt 2") == (caught.value.code(), caught.value.details())
    assert "2" == dict(caught.value.trailing_metadata())["who"]
    await idle(cell.using)


async def test_a_caller_who_goes_cancels_every_attempt(cell):
    cell.backend.script = hangs(cell.backend, 1, 2)
    task = asyncio.ensure_future(cell.call())
    await until(lambda: cell.backend.calls == 2)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(cell.backend.cancelled.wait(), 5)
    del task
    await idle(cell.using)


async def test_cancelled_at_any_time_everything_is_given_back(cell):
    """After each turn of the loop, which client and server share, then in steps of 2 ms across the hedging delay."""
    before = len(asyncio.all_tasks())

    async def script(number, context):
        await asyncio.sleep(0.06)
        return await cell.backend.answer(number, context)

    cell.backend.script = script
    endings: set[type] = set()
    for step in range(60):
        task = asyncio.ensure_future(cell.call())
        for _ in range(step % 30):
            await asyncio.sleep(0)
        if step >= 30:
            await asyncio.sleep(0.04 + (step - 30) * 0.002)
        task.cancel()
        endings |= {type(ended) for ended in await asyncio.gather(task, return_exceptions=True)}
        del task

    await idle(cell.using)
    assert asyncio.CancelledError in endings
    assert list in endings
    await until(lambda: len(asyncio.all_tasks()) <= before + 2)  # the server's own


async def test_a_deadline_ends_every_attempt(cell):
    cell.backend.script = hangs(cell.backend, 1, 2)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await cell.call(timeout=0.3)

    assert grpc.StatusCode.DEADLINE_EXCEEDED == caught.value.code()
    await asyncio.wait_for(cell.backend.cancelled.wait(), 5)
    await idle(cell.using)


@pytest.mark.parametrize("arity", [Arity.STREAM_UNARY, Arity.STREAM_STREAM], ids=lambda arity: arity.value)
@pytest.mark.parametrize("way", ["channel", "interceptors"])
async def test_requests_that_can_be_read_once_are_sent_once(arity, way):
    async def requests():
        yield b"a"

    async with opened(arity, way) as cell:

        async def script(number, context):
            await asyncio.sleep(0.2)
            return await cell.backend.answer(number, context)

        cell.backend.script = script

        assert cell.expected == await cell.collect(cell.start(requests()))
        assert 1 == cell.backend.calls


@pytest.mark.parametrize("way", ["channel", "interceptors"])
async def test_requests_may_still_be_written_one_by_one(way):
    async with opened(Arity.STREAM_STREAM, way) as cell:
        call = cell.channel.stream_stream(METHOD)()
        await call.write(b"a")
        await call.done_writing()

        assert cell.expected == [message async for message in call]
        assert 1 == cell.backend.calls


@pytest.mark.parametrize("way", ["channel", "interceptors"])
async def test_what_the_caller_holds_is_the_winners(way):
    async with opened(Arity.UNARY_UNARY, way) as cell:

        async def script(number, context):
            await context.send_initial_metadata((("who", str(number)),))
            context.set_trailing_metadata((("who", str(number)),))
            return await hangs(cell.backend, 1)(number, context)

        cell.backend.script = script
        call = cell.start()

        assert b"one" == await call
        assert (
            "2" == dict(await call.initial_metadata())["who"] == dict(await call.trailing_metadata())["who"]
        )
        assert grpc.StatusCode.OK == await call.code()
        assert call.done()
        assert not call.cancel()


@pytest.mark.parametrize("way", ["channel", "interceptors"])
async def test_a_streams_metadata_is_the_winners(way):
    async with opened(Arity.UNARY_STREAM, way) as cell:

        async def script(number, context):
            await context.send_initial_metadata((("who", str(number)),))
            context.set_trailing_metadata((("who", str(number)),))
            return await hangs(cell.backend, 1)(number, context)

        cell.backend.script = script
        call = cell.start()

        assert "2" == dict(await call.initial_metadata())["who"]
        assert [b"one", b"two"] == [message async for message in call]
        assert "2" == dict(await call.trailing_metadata())["who"]
        assert grpc.StatusCode.OK == await call.code()


async def test_a_stream_that_opened_first_is_kept_whole():
    """The race is to the first message; however long the rest takes, nobody joins any more."""
    async with opened(Arity.UNARY_STREAM, "channel") as cell:

        async def script(number, context):
            await context.write(b"one")
            await asyncio.sleep(0.2)
            return [b"two"]

        cell.backend.script = script

        assert [b"one", b"two"] == await cell.call()
        assert 1 == cell.backend.calls


async def test_a_dropped_stream_cancels_every_attempt():
    async with opened(Arity.UNARY_STREAM, "channel") as cell:
        cell.backend.script = hangs(cell.backend, 1, 2)
        call = cell.start()
        reading = asyncio.ensure_future(call.read())
        await until(lambda: cell.backend.calls == 2)

        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        del reading, call

        await asyncio.wait_for(cell.backend.cancelled.wait(), 5)
        await idle(cell.using)


# Several servers


class Slow(Node):
    """Takes half a second, and counts whom it was told to forget."""

    forgotten = 0
    answered = 0

    async def greet(self, request, context):
        try:
            await asyncio.sleep(0.5)
        except asyncio.CancelledError:
            self.forgotten += 1
            raise
        self.answered += 1
        return b"slow"


async def latencies(channel, calls: int) -> list[float]:
    taken = []
    for _ in range(calls):
        begun = time.perf_counter()
        await channel.unary_unary(GET)(b"")
        taken.append(time.perf_counter() - begun)
    return sorted(taken)


@pytest.mark.slow
async def test_one_slow_server_of_three_is_not_felt():
    """Every third call would take 500 ms. Hedged after 50 ms they take little more than that: 120 ms is what a quiet
    machine keeps, 300 what a noisy one must.
    """
    slow = await Slow("slow").start()
    policies = (
        "defaults: {hedge: {delay: 0.05s, max_attempts: 3}, retry: {budget: {ratio: 1, min_per_second: 100}}}"
    )
    using = runtime(policies)
    async with running(2) as nodes:
        addresses = [slow.address, *(node.address for node in nodes)]
        async with mesh.channel(addresses, using=using) as channel:
            async with asyncio.timeout(10):
                while not (slow.calls and all(node.calls for node in nodes)):
                    await channel.unary_unary(GET)(b"", wait_for_ready=True)
            before = slow.calls
            taken = await latencies(channel, 90)
        await until(lambda: slow.forgotten + slow.answered == slow.calls)
    await slow.stop()

    assert slow.calls - before >= 15
    assert taken[88] < 0.3  # the 99th percentile
    assert slow.forgotten > 10 * slow.answered
    won = sum(
        series.value
        for series in using.telemetry.snapshot()
        if series.instrument is CLIENT_HEDGES and (RESULT, "won") in series.attributes
    )
    assert won >= 15


@pytest.mark.parametrize(
    "policy",
    [
        "hedge: {delay: 0.05s}, retry: {budget: {ratio: 0.1, min_per_second: 0.5}}",
        "retry: {max_attempts: 5, backoff: {base: 0.001s}, budget: {ratio: 0.1, min_per_second: 0.5}}",
    ],
)
async def test_a_full_outage_costs_what_the_budget_says(policy):
    async def down(request, context):
        await context.abort(grpc.StatusCode.UNAVAILABLE, "down")

    async with running(2) as nodes:
        for node in nodes:
            node.answer = down
        using = runtime(f"defaults: {{circuit_breaker: {{enabled: false}}, {policy}}}")
        async with mesh.channel([node.address for node in nodes], using=using) as channel:
            for _ in range(200):
                with pytest.raises(grpc.aio.AioRpcError):
                    await channel.unary_unary(GET)(b"", wait_for_ready=True)

        assert 200 < sum(node.calls for node in nodes) <= 200 * 1.1 + 0.5 * 10


async def test_when_all_fail_another_method_may_answer():
    policies = f"defaults: {{{HEDGE}, fallback: {{method: Put}}}}"

    async with running(1) as [node], mesh.channel(node.address, using=runtime(policies)) as channel:

        async def answer(request, context):
            if node.calls < 3:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "down")
            return b"from another"

        node.answer = answer
        call = channel.unary_unary(GET)(b"")

        assert b"from another" == await call
        assert 3 == node.calls


def _retry_info(seconds: int) -> bytes:
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=seconds)))
    return status_pb2.Status(code=14, details=[packed]).SerializeToString()


@pytest.mark.parametrize("policies", [POLICIES, RETRY], ids=["hedge", "retry"])
@pytest.mark.parametrize(
    "wish",
    [
        ("grpc-retry-pushback-ms", "-1"),
        ("grpc-retry-pushback-ms", "later"),
        ("grpc-status-details-bin", _retry_info(-1)),
    ],
    ids=["-1", "unparsable", "RetryInfo"],
)
async def test_a_server_that_asks_for_no_further_attempt_gets_none(policies, wish):
    async def down(request, context):
        await context.abort(grpc.StatusCode.UNAVAILABLE, "down", (wish,))

    async with running(1) as [node], mesh.channel(node.address, using=runtime(policies)) as channel:
        node.answer = down
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary(GET)(b"")
        await asyncio.sleep(0.1)  # longer than the hedging delay

        assert 1 == node.calls


@pytest.mark.parametrize("policies", [POLICIES, RETRY], ids=["hedge", "retry"])
async def test_a_servers_delay_is_kept(policies):
    times = []

    async def once_down(request, context):
        times.append(time.monotonic())
        if len(times) == 1:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "wait", (("grpc-retry-pushback-ms", "150"),))
        return b"done"

    async with running(1) as [node], mesh.channel(node.address, using=runtime(policies)) as channel:
        node.answer = once_down
        assert b"done" == await channel.unary_unary(GET)(b"")

    assert times[1] - times[0] >= 0.145
