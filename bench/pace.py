"""How load is shaped: as much as goes with so many calls in flight, or so many calls a second whatever happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

Call = Callable[[], Awaitable[object]]

# The event loop's timers are that coarse: waking up late by less is not the contender's fault.
_TICK: Final = 0.002


async def run(call: Call, *, concurrency: int, rate: float, seconds: float) -> list[int]:
    """Make calls and return how long each took, in microseconds. `rate` 0: as fast as they are answered."""
    return await (paced(call, rate, seconds) if rate else saturated(call, concurrency, seconds))


async def saturated(call: Call, concurrency: int, seconds: float) -> list[int]:
    """Keep `concurrency` calls in flight."""
    clock = time.perf_counter
    latencies: list[int] = []
    until = clock() + seconds

    async def repeat() -> None:
        began = clock()
        while began < until:
            await call()
            now = clock()
            latencies.append(int((now - began) * 1e6))
            began = now

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(repeat())
    return latencies


async def paced(call: Call, rate: float, seconds: float) -> list[int]:
    """Start `rate` calls a second, whether those before have been answered or not."""
    clock = time.perf_counter
    latencies: list[int] = []

    async def once(began: float) -> None:
        await call()
        latencies.append(int((clock() - began) * 1e6))

    start = clock()
    async with asyncio.TaskGroup() as group:
        for index in range(round(rate * seconds)):
            due = start + index / rate
            wait = due - clock()
            if wait > 0:
                await asyncio.sleep(wait)
            now = clock()
            # A stall delays the calls behind it: they count from when they were due (no coordinated omission).
            group.create_task(once(now if now - due < _TICK else due))
    return latencies
