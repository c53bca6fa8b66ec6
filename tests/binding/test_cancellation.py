"""A call cancelled at each step in turn gives back everything it took, on both sides."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Self

import grpc
import grpc.aio
import pytest

import mesh
from mesh.binding.destination import Destination
from mesh.binding.direct import Direct
from mesh.binding.runtime import Runtime
from mesh.call import Side
from mesh.mechanism.concurrency import ConcurrencyLimit
from mesh.stage.load_report import Report
from mesh.telemetry.instruments import CLIENT_ACTIVE_CALLS, SERVER_ACTIVE_CALLS

from .node import GET, LIST, Node, runtime, until

POLICIES = """
defaults:
  server_concurrency: {max_in_flight: 100}
  circuit_breaker: {enabled: false}
  retry: {scope: RETRY_SCOPE_ALL, backoff: {base: 0.002s, jitter: JITTER_NONE}, budget: {min_per_second: 1000}}
"""
STEPS = 60
"""More waits than a call and its retry have."""


def taken(using: Runtime) -> dict[str, float]:
    """Return everything that is counted up and down, where it is not zero."""
    found: dict[str, float] = {}
    for key, value in using.state._kept.items():
        if isinstance(value, ConcurrencyLimit):
            found[str(key)] = value.in_flight
        elif isinstance(value, Report):
            found[str(key)] = value.load.in_flight
    for series in using.telemetry.snapshot():
        if series.instrument in {CLIENT_ACTIVE_CALLS, SERVER_ACTIVE_CALLS}:
            found[f"{series.instrument.name} {series.attributes}"] = series.value
    return {name: value for name, value in found.items() if value}


class Flaky(Node):
    """Fails every other call, so that retries, and the waits before them, are cancelled as well."""

    async def greet(self, request, context):
        await asyncio.sleep(0.001)
        if self.calls % 2:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "again")
        return b"done"

    async def _stream(self, request, context):
        first = await self._unary(request, context)
        for _ in range(3):
            yield first


class Cell:
    def __init__(self) -> None:
        self.client, self.server = runtime(POLICIES), runtime(POLICIES)
        self.node = Flaky()
        self.channel: Any = None

    async def __aenter__(self) -> Self:
        await self.node.start(using=self.server)
        self.channel = mesh.channel(self.node.address, using=self.client)
        assert b"done" == await self.channel.unary_unary(GET)(b"", wait_for_ready=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()
        await self.node.stop()

    async def unary(self) -> None:
        await self.channel.unary_unary(GET)(b"")

    async def stream(self) -> None:
        async for _ in self.channel.unary_stream(LIST)(b""):
            pass

    async def half_a_stream(self) -> None:
        call = self.channel.unary_stream(LIST)(b"")
        await call.read()
        call.cancel()

    async def is_idle(self) -> None:
        # grpc.aio's intercepted calls are in reference cycles, so one that is dropped ends when it is collected: as when
        # the task that was to read a stream is cancelled between the interceptor's return and its first step.
        gc.collect()
        await until(lambda: not taken(self.client) and not taken(self.server))


@pytest.mark.parametrize("kind", ["unary", "stream", "half_a_stream"])
async def test_cancelled_after_each_turn_of_the_loop(kind):
    """Client and server share the loop, so the turns fall into the awaits of both; then in steps of 0.2 ms."""
    endings: list[type] = []
    async with Cell() as cell:
        for step in range(2 * STEPS):
            task = asyncio.ensure_future(getattr(cell, kind)())
            for _ in range(min(step, STEPS)):
                await asyncio.sleep(0)
            if step > STEPS:
                await asyncio.sleep((step - STEPS) * 0.0002)
            task.cancel()
            endings += [type(ended) for ended in await asyncio.gather(task, return_exceptions=True)]
            del task
        await cell.is_idle()

    assert {asyncio.CancelledError, type(None)} == set(endings)
    assert endings.count(asyncio.CancelledError) > 10


class CancelledAt(Awaitable[Any]):
    """Runs a coroutine and cancels its task when it waits for the n-th time."""

    def __init__(self, coroutine: Any, step: int) -> None:
        self._coroutine = coroutine
        self._step = step

    def __await__(self) -> Generator[Any, None, Any]:
        task = asyncio.current_task()
        assert task is not None
        step = 0
        send: Callable[[], Any] = lambda: self._coroutine.send(None)  # noqa: E731 - replaced by throws below
        while True:
            try:
                future = send()
            except StopIteration as stop:
                return stop.value
            if step == self._step:
                task.cancel()
            step += 1
            try:
                yield future
                send = lambda: self._coroutine.send(None)  # noqa: E731 - as above
            except asyncio.CancelledError as error:
                send = lambda error=error: self._coroutine.throw(error)  # noqa: E731 - as above


async def test_cancelled_at_each_await_of_the_chain():
    """The chain in the test's own task: each place where it waits is hit exactly, until a call gets through."""
    async with Cell() as cell, grpc.aio.insecure_channel(cell.node.address) as plain:
        direct = Direct(Destination(plain, cell.client.chains(Side.CLIENT, "direct")))
        outcomes = []
        for step in range(STEPS):
            task = asyncio.ensure_future(_run(CancelledAt(direct.unary(GET, b""), step)))
            [ended] = await asyncio.gather(task, return_exceptions=True)
            outcomes.append(ended)
            await cell.is_idle()
            if not isinstance(ended, asyncio.CancelledError):
                break

    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert b"done" == outcomes[-1].value  # fewer waits than that: it was never cancelled
    assert len(outcomes) > 2


async def test_a_server_stream_cancelled_while_it_writes():
    async with Cell() as cell:

        async def answer(request, context):
            return b"x" * 100_000

        cell.node.answer = answer
        for messages in range(3):
            call = cell.channel.unary_stream(LIST)(b"")
            for _ in range(messages):
                await call.read()
            call.cancel()
        await cell.is_idle()


async def test_calls_beyond_the_limit_do_not_leak():
    policies = f"{POLICIES}  client_concurrency: {{max_in_flight: 2}}\n"
    node = await Flaky().start(using=runtime())
    using = runtime(policies)
    async with mesh.channel(node.address, using=using) as channel:
        calls = [asyncio.ensure_future(_run(channel.unary_unary(GET)(b""))) for _ in range(40)]
        for call in calls[::3]:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await until(lambda: not taken(using))
    await node.stop()


async def _run(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
