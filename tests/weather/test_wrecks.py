"""What is no good gRPC server behind the gateway: the mapped status within the deadline, the others unaffected."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from tests.weather.expectation import (
    BUDGET_FLOOR,
    BUDGET_RATIO,
    BUDGET_WINDOW,
    DEADLINE,
    LATE,
    QUICK,
    check_errors,
    check_unaffected,
    median,
    stops_cleanly,
)
from tests.weather.load import Connection, Load, Stream
from tests.weather.metrics import ATTEMPTS, CALLS, scrape
from tests.weather.wreck import Mood, Wreck

_log = logging.getLogger(__name__)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ANSWER = "weather.v1.WreckService/GetAnswer"
LOAD = {"/v1/sky": Stream(4, 12), "/v1/wreck": Stream(4, 12)}


async def test_wrecks_are_unavailable_and_silence_ends_at_the_deadline(raise_sky):
    async with Wreck() as wreck:
        sky = raise_sky(wreck.address)
        async with Load(sky.gateway.port, {"/v1/sky": LOAD["/v1/sky"]}) as before:
            await asyncio.sleep(0.5)
        usual = median(before.answers)
        # Silence comes first: once a connection has failed, calls do not wait for the next one.
        for mood in Mood:
            if mood is not wreck.mood:
                wreck.become(mood)
            await turn(sky.gateway.port, 504 if mood is Mood.SAYS_NOTHING else 503)
            began, counted = time.monotonic(), await scrape(sky.metrics)
            async with Load(sky.gateway.port, LOAD) as load:
                await asyncio.sleep(0.6)
            seconds, after = time.monotonic() - began, await scrape(sky.metrics)
            answers = load.since(began, "/v1/wreck")
            assert {504 if mood is Mood.SAYS_NOTHING else 503} == {answer.status for answer in answers}, mood
            assert all(answer.seconds < LATE for answer in answers), mood
            assert all(answer.seconds > DEADLINE * 0.9 for answer in answers if answer.status == 504)
            check_errors(answers)
            check_unaffected(load, began, usual)
            assert wreck.connections, mood
            calls, attempts = (
                after.total(name, ANSWER) - counted.total(name, ANSWER) for name in (CALLS, ATTEMPTS)
            )
            assert calls == len(answers)
            # What was earned before this mood may be spent in it.
            retries = BUDGET_RATIO * 2 * calls + BUDGET_FLOOR * (seconds + BUDGET_WINDOW)
            _log.info("%s: %d calls in %.4f s, %d attempts", mood.value, calls, median(answers), attempts)
            if mood is Mood.SAYS_NOTHING:
                assert calls == attempts, "a deadline that is over is not tried again"
            else:
                assert calls < attempts <= calls + retries, mood
                assert median(answers) < QUICK, mood
        await stops_cleanly(sky)


async def turn(port: int, status: int) -> None:
    """Wait until calls end as the wreck's mood has them end."""
    connection = await Connection.open(port)
    async with asyncio.timeout(10):
        while (await connection.request("/v1/wreck")).status != status:
            await asyncio.sleep(0.05)
    connection.close()
