"""A real server that is offered three times what it can do stays quick for those it answers."""

from __future__ import annotations

import asyncio
import collections
import time

import grpc
import grpc.aio
import pytest

import mesh
from tests.stage.retry_info import retry_after

from .node import BUY, GET, Node, runtime, until

PLACES, SERVICE = 4, 0.04
POLICIES = """
defaults:
  priority: {}
  retry: {enabled: false}
  circuit_breaker: {enabled: false}
  server_concurrency: {adaptive: {min_in_flight: 2, initial_in_flight: 20}, low_share: 0.5}
"""
PLAIN = "defaults: {priority: {}, retry: {enabled: false}, circuit_breaker: {enabled: false}}"


class Bounded(Node):
    """Works on as many calls at once as it has places; the others wait."""

    def __init__(self) -> None:
        super().__init__()
        self.places = asyncio.Semaphore(PLACES)
        self.answer = self.work

    async def work(self, request, context):
        async with self.places:
            await asyncio.sleep(SERVICE)
        return b""


def in_flight(using) -> float:
    return sum(
        series.value for series in using.telemetry.snapshot() if series.instrument.name.endswith("in_flight")
    )


async def offer(channel, seconds: float, rate: float) -> dict[str, list]:
    """Call at a rate whatever is answered, low and high priority in turn; return what came of the second half."""
    results: dict[str, list] = collections.defaultdict(list)

    async def one(priority: str) -> None:
        began = time.monotonic()
        try:
            await channel.unary_unary(BUY)(b"", metadata=(("mesh-priority", priority),))
            results[priority].append(time.monotonic() - began)
        except grpc.aio.AioRpcError as error:
            results["refused"].append((priority, error))

    calls, began = [], time.monotonic()
    for number in range(int(seconds * rate)):
        await asyncio.sleep(began + number / rate - time.monotonic())
        if number == int(seconds * rate / 2):
            await asyncio.wait(calls)
            results.clear()
        calls.append(asyncio.ensure_future(one("low" if number % 2 else "high")))
    await asyncio.wait(calls)
    return results


@pytest.mark.slow
async def test_what_is_answered_is_answered_soon_and_what_matters_least_is_refused_first():
    using = runtime(POLICIES)
    node = Bounded()
    await node.start(using=using)
    async with mesh.channel(node.address, using=runtime(PLAIN)) as channel:
        results = await offer(channel, 6.0, 3 * PLACES / SERVICE)
        await until(lambda: in_flight(using) == 0)
    await node.stop()

    low, high = results["low"], results["high"]
    # Without a limit the queue of three seconds would be two seconds of work long at the end.
    assert sorted(low + high)[int(0.9 * len(low + high))] < 12 * SERVICE
    assert len(high) > 2 * len(low)
    _, error = results["refused"][-1]
    assert grpc.StatusCode.RESOURCE_EXHAUSTED == error.code()
    assert 0.01 <= retry_after(error.trailing_metadata(), error.details()) <= 5.0


async def test_a_bulkhead_keeps_one_target_from_taking_everything():
    """Calls of any method count against it; other targets have their own."""
    bulkhead = "{max_in_flight: 2, scope: CONCURRENCY_SCOPE_TARGET}"
    using = runtime(f"defaults: {{client_concurrency: {bulkhead}, retry: {{enabled: false}}}}")
    slow, quick = await Node("slow").start(), await Node("quick").start()
    slow.answer = slow.hang
    async with (
        mesh.channel(slow.address, using=using) as to_slow,
        mesh.channel(quick.address, using=using) as to_quick,
    ):
        hanging = [asyncio.ensure_future(to_slow.unary_unary(method)(b"")) for method in (GET, BUY)]
        await until(lambda: slow.calls == 2)

        with pytest.raises(grpc.aio.AioRpcError, match="has 2 in flight, the limit"):
            await to_slow.unary_unary(GET)(b"")
        assert b"quick" == await to_quick.unary_unary(GET)(b"")

        for call in hanging:
            call.cancel()
        await asyncio.wait(hanging)
        assert 0 == in_flight(using)
    await slow.stop()
    await quick.stop()
