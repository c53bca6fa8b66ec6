"""How load is shaped."""

import asyncio

import pytest

from bench import pace


async def test_saturated_load_keeps_so_many_calls_in_flight():
    flying = most = 0

    async def call():
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0)
        flying -= 1

    latencies = await pace.run(call, concurrency=7, rate=0, seconds=0.02)
    assert most == 7
    assert len(latencies) >= 7


async def test_paced_load_makes_its_calls_whether_they_are_answered_or_not():
    waiting = []
    answer = asyncio.Event()

    async def call():
        waiting.append(None)
        if len(waiting) == 20:
            answer.set()
        await answer.wait()

    latencies = await pace.run(call, concurrency=1, rate=1000, seconds=0.02)
    assert len(latencies) == 20


async def test_a_failed_call_fails_the_run():
    async def call():
        raise ValueError("no answer")

    with pytest.raises(ExceptionGroup):
        await pace.run(call, concurrency=2, rate=0, seconds=0.01)
