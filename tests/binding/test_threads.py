"""Threads racing through the synchronous API: each call settled exactly once, no number lost, nothing left taken."""

from __future__ import annotations

import contextlib
import gc
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest

import mesh
import mesh.sync
from mesh.binding.drive_sync import Turns
from mesh.binding.runtime import Runtime
from mesh.call import ABANDONED, Attempt, Colour, Outcome, Side
from mesh.telemetry import instruments

from .node import GET, LIST, SERVICE, runtime

POLICIES = """
defaults:
  server_concurrency: {max_in_flight: 1000}
  client_concurrency: {max_in_flight: 1000}
  circuit_breaker: {enabled: false}
  retry: {scope: RETRY_SCOPE_ALL, backoff: {base: 0.001s, jitter: JITTER_NONE}, budget: {min_per_second: 100000}}
"""
THREADS, CALLS = 8, 500


@contextlib.contextmanager
def serving(
    using: Runtime, get: Callable[[bytes, Any], bytes] = lambda request, context: request
) -> Iterator[str]:
    """A server whose Get does this and whose List says the request three times."""

    def every(request: bytes, context: Any) -> Iterator[bytes]:
        for _ in range(3):
            yield get(request, context)

    handlers = {
        "Get": grpc.unary_unary_rpc_method_handler(get),
        "List": grpc.unary_stream_rpc_method_handler(every),
    }
    server = mesh.sync.server("shop", listen="127.0.0.1:0", lame_duck=0.0, using=using)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_registered_method_handlers(SERVICE, handlers)
    address = server.start()
    try:
        yield address
    finally:
        server.stop().wait()


def race(function: Callable[[int], None], threads: int = THREADS) -> None:
    """Run it in so many threads at once; raise what one of them raises."""
    start = threading.Barrier(threads)

    def run(number: int) -> None:
        start.wait()
        function(number)

    with futures.ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(run, number) for number in range(threads)]:
            done.result(timeout=60)


def count(using: Runtime, instrument: Any) -> float:
    """The sum of all series of a metric: of a histogram, how many values."""
    values = [series.value for series in using.telemetry.snapshot() if series.instrument is instrument]
    return sum(getattr(value, "total", value) for value in values)


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_no_call_is_lost_or_counted_twice():
    using = runtime(POLICIES)
    with serving(using) as address, mesh.sync.channel(address, using=using) as channel:
        get = channel.unary_unary(GET)

        def calls(number: int) -> None:
            for _ in range(CALLS):
                assert b"x" == get(b"x", timeout=30)

        race(calls)

    assert THREADS * CALLS == count(using, instruments.CLIENT_CALL_DURATION)
    assert THREADS * CALLS == count(using, instruments.CLIENT_ATTEMPT_DURATION)
    assert THREADS * CALLS == count(using, instruments.SERVER_CALL_DURATION)
    assert 0 == count(using, instruments.CLIENT_ACTIVE_CALLS)
    assert 0 == count(using, instruments.SERVER_ACTIVE_CALLS)


def test_calls_that_end_in_every_way_at_once():
    """Answered, failed and retried, cancelled, dropped, half-read, as futures and as streams: all of it comes back."""
    using = runtime(POLICIES)

    def get(request: bytes, context: Any) -> bytes:
        if random.random() < 0.2:
            context.abort(grpc.StatusCode.UNAVAILABLE, "again")
        return request

    begun = 0
    lock = threading.Lock()
    with serving(using, get) as address, mesh.sync.channel(address, using=using) as channel:
        unary, stream = channel.unary_unary(GET), channel.unary_stream(LIST)

        def calls(number: int) -> None:
            nonlocal begun
            mine = random.Random(number)
            for _ in range(100):
                with lock:
                    begun += 1
                way = mine.randrange(6)
                with contextlib.suppress(grpc.RpcError, grpc.FutureCancelledError):
                    if way == 0:
                        unary(b"x")
                    elif way == 1:
                        unary.future(b"x").result(timeout=30)
                    elif way == 2:
                        future = unary.future(b"x")
                        time.sleep(mine.random() * 0.002)
                        future.cancel()
                    elif way == 3:
                        unary.future(b"x")
                    elif way == 4:
                        list(stream(b"x"))
                    else:
                        next(stream(b"x"))

        race(calls)
        gc.collect()
        until(lambda: count(using, instruments.CLIENT_ACTIVE_CALLS) == 0)
        until(lambda: count(using, instruments.SERVER_ACTIVE_CALLS) == 0)

    assert begun == count(using, instruments.CLIENT_CALL_DURATION)
    assert count(using, instruments.CLIENT_ATTEMPT_DURATION) >= begun / 2
    state = using._threads[1]
    limits = [kept for key, kept in state._kept.items() if "concurrency" in str(key[0])]
    assert limits
    assert [0] * len(limits) == [limit.in_flight for limit in limits]


async def test_both_apis_in_one_process_add_up():
    """The event loop takes no lock; the threads have numbers of their own, and a reader sees the sum."""
    import asyncio

    using = runtime(POLICIES)
    with serving(using) as address, mesh.sync.channel(address, using=using) as channel:
        get = channel.unary_unary(GET)

        def calls(number: int) -> None:
            for _ in range(100):
                get(b"x", timeout=30)

        async with mesh.channel(address, using=using) as other:
            racing = asyncio.get_running_loop().run_in_executor(None, race, calls, 4)
            for _ in range(100):
                await asyncio.gather(*(_awaited(other.unary_unary(GET)(b"x")) for _ in range(4)))
            await racing

    assert 800 == count(using, instruments.CLIENT_CALL_DURATION)
    assert 800 == count(using, instruments.SERVER_CALL_DURATION)
    keys = [(series.instrument.name, series.attributes) for series in using.telemetry.snapshot()]
    assert len(set(keys)) == len(keys)


async def _awaited(call: Any) -> Any:
    return await call


def test_state_is_not_shared_by_the_two_apis():
    using = runtime()
    aio, sync = (using.chains(Side.CLIENT, "shop", colour=colour) for colour in Colour)

    assert aio.state is not sync.state
    assert aio.telemetry.aggregates is not sync.telemetry.aggregates


def test_a_push_reaches_the_threads():
    using = runtime()
    sync = using.chains(Side.SERVER, "shop", colour=Colour.SYNC)
    with serving(using) as address, mesh.sync.channel(address, using=using) as channel:
        assert b"x" == channel.unary_unary(GET)(b"x")

        using.reload(
            runtime("defaults: {server_concurrency: {max_in_flight: 1}, metrics: {enabled: false}}").policies
        )

        assert b"x" == channel.unary_unary(GET)(b"x")
    assert sync.telemetry is not None
    assert 1 == count(using, instruments.CLIENT_CALL_DURATION)


# Turns


def flow(settled: list[str], name: str, while_settling: Callable[[], None] = lambda: None) -> Any:
    def steps():
        try:
            yield Attempt(1, None)
            return Outcome(0)
        finally:
            while_settling()
            settled.append(name)

    return steps()


def test_a_dropped_flow_is_closed():
    turns, settled = Turns(), []
    one = flow(settled, "one")
    turns.advance(one, None)

    turns.drop(one)

    assert ["one"] == settled


def test_a_flow_dropped_while_another_advances_is_closed_afterwards():
    """As when the garbage collector runs inside a stage."""
    turns, settled = Turns(), []
    dropped = flow(settled, "dropped")
    turns.advance(dropped, None)
    running = flow(settled, "running", lambda: turns.drop(dropped))
    turns.advance(running, None)

    turns.advance(running, Outcome(0))

    assert ["running", "dropped"] == settled


def test_a_flow_closed_by_another_thread_ends_as_abandoned():
    turns, settled = Turns(), []
    one = flow(settled, "one")
    turns.advance(one, None)
    turns.close(one)

    assert ABANDONED is turns.advance(one, Outcome(0))
    assert ["one"] == settled


def test_a_stage_that_makes_a_call_is_told_so_instead_of_waiting_for_itself():
    turns = Turns()
    outer = flow([], "outer", lambda: turns.advance(flow([], "inner"), None))
    turns.advance(outer, None)

    with pytest.raises(RuntimeError, match="a stage must not make calls through the mesh"):
        turns.advance(outer, Outcome(0))
