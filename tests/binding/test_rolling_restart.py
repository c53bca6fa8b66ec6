"""Three instances restarted one by one under load: no call fails, whether or not it may be repeated."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import signal

import grpc.aio
import pytest

import mesh

from .node import BUY, GET, LIST, runtime, until
from .process import Process

pytestmark = pytest.mark.slow

EXITED_WELL = (0, "cut 0")


class Load:
    """Calls without a pause: idempotent ones, others, and short streams. Counts who answered, and what failed."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._get = channel.unary_unary(GET)
        self._buy = channel.unary_unary(BUY)
        self._list = channel.unary_stream(LIST)
        self.answers: collections.Counter[str] = collections.Counter()
        self.failures: list[str] = []
        self.stopping = False

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(6):
                group.create_task(self._repeat(self._unary, self._get))
                group.create_task(self._repeat(self._unary, self._buy))
                group.create_task(self._repeat(self._stream, self._list))

    async def _repeat(self, make, method) -> None:
        while not self.stopping:
            try:
                self.answers[await make(method)] += 1
            except grpc.aio.AioRpcError as error:
                self.failures.append(f"{error.code().name}: {error.details()}")
                await asyncio.sleep(0.01)

    async def _unary(self, method) -> str:
        return (await method(b"", timeout=10)).decode()

    async def _stream(self, method) -> str:
        names = [name async for name in method(b"", timeout=10)]
        assert 3 == len(names)
        return names[0].decode()


async def roll(number: signal.Signals, *, lame_duck: float, instances: int = 3) -> tuple[Load, list]:
    """Restart each instance by this signal while calls go on; return the load and how the instances ended."""
    endings = []
    async with contextlib.AsyncExitStack() as stack:
        running = await asyncio.gather(
            *(Process.start(f"{index}.0", lame_duck=lame_duck) for index in range(instances))
        )
        for process in running:
            stack.push_async_callback(process.kill)
        channel = await stack.enter_async_context(
            mesh.channel([process.address for process in running], using=runtime())
        )
        load = Load(channel)
        calling = asyncio.ensure_future(load.run())
        await until(lambda: all(load.answers[process.name] > 20 for process in running))
        for index, process in enumerate(running):
            process.signal(number)
            endings.append(await process.ended())
            again = await Process.start(f"{index}.1", process.address, lame_duck=lame_duck)
            stack.push_async_callback(again.kill)
            await until(lambda name=again.name: load.answers[name] > 20)
        load.stopping = True
        await asyncio.wait_for(calling, 30)
    return load, endings


async def test_no_call_fails():
    load, endings = await roll(signal.SIGTERM, lame_duck=0.5)

    assert [] == load.failures
    assert [EXITED_WELL] * 3 == endings
    assert sum(load.answers.values()) > 500


async def test_calls_do_fail_when_instances_are_killed():
    """The load above would notice: what is in flight when an instance dies is lost, unless it may be repeated."""
    load, _ = await roll(signal.SIGKILL, lame_duck=0.5, instances=2)

    assert load.failures
