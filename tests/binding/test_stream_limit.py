"""How long streams may be quiet and live, between a real server and real clients."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest

from mesh.call import Side
from tests.binding.chat import (
    PLAIN,
    alarms,
    pair,
    refused,
)
from tests.binding.node import until

IDLE = "stream: {idle_timeout: 0.2s}"
AGE = "stream: {max_age: 0.2s}"


@pytest.mark.parametrize("side", Side)
async def test_a_quiet_stream_of_responses_ends(side):
    async with pair(**{side.value: IDLE}) as both:
        call = both.listen(b"1,wait")

        error = await refused(call)

        assert grpc.StatusCode.ABORTED is error.code()
        assert "the stream had no message for 0.2s, its limit" == error.details()
        await until(lambda: both.chat.cancelled == 1)


@pytest.mark.parametrize("side", Side)
async def test_a_stream_that_never_begins_ends(side):
    async with pair(**{side.value: IDLE}) as both:
        assert grpc.StatusCode.ABORTED is (await refused(both.listen(b"wait"))).code()
        await until(lambda: both.chat.cancelled == 1)


@PLAIN
@pytest.mark.parametrize("side", Side)
async def test_a_quiet_stream_of_requests_ends(side, plain):
    async with pair(**{side.value: IDLE}, plain=plain) as both:

        async def requests() -> AsyncIterator[bytes]:
            yield b"1"
            await asyncio.Event().wait()

        assert grpc.StatusCode.ABORTED is (await refused(both.tell(requests()))).code()
        assert grpc.StatusCode.ABORTED is (await refused(both.talk(requests()))).code()
        await until(lambda: both.chat.left == 2)


async def test_a_stream_that_nobody_reads_ends_and_says_so_to_who_reads_late():
    async with pair(client=IDLE) as both:
        call = both.listen(b"1,wait")
        assert b"." == await call.read()

        await until(call.done)

        assert grpc.StatusCode.ABORTED is await call.code()
        assert grpc.StatusCode.ABORTED is (await refused(call)).code()
        await until(lambda: both.chat.cancelled == 1)


@pytest.mark.parametrize("side", Side)
async def test_messages_keep_a_stream_alive(side):
    async with pair(**{side.value: IDLE}) as both:
        assert 12 == len([message async for message in both.listen(b"1,sleep," * 11 + b"1")])


@pytest.mark.parametrize("side", Side)
async def test_a_busy_stream_ends_when_it_is_old(side):
    async with pair(**{side.value: AGE}) as both:
        error = await refused(both.listen(b"1,sleep," * 100 + b"1"))

        assert grpc.StatusCode.ABORTED is error.code()
        assert "the stream is 0.2s old, its limit" == error.details()


@pytest.mark.parametrize("side", Side)
async def test_calls_without_a_stream_have_the_time_they_need(side):
    async with pair(**{side.value: AGE}) as both:
        assert b"." == await both.ask(b"1")


async def test_the_deadline_still_counts():
    async with pair(client="stream: {idle_timeout: 20s, max_age: 30s}") as both:
        assert (
            grpc.StatusCode.DEADLINE_EXCEEDED is (await refused(both.listen(b"1,wait", timeout=0.1))).code()
        )
        await until(lambda: [] == alarms())


@pytest.mark.parametrize("side", Side)
async def test_a_cancelled_stream_is_cancelled_and_not_aborted(side):
    async with pair(**{side.value: "stream: {idle_timeout: 20s}"}) as both:
        call = both.listen(b"1,wait")
        reading = asyncio.ensure_future(refused(call))
        await both.chat.silent.wait()

        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

        assert call.cancelled()
        await until(lambda: both.chat.cancelled == 1 and [] == alarms())


async def test_a_dropped_stream_lets_its_timer_go():
    async with pair(client="stream: {idle_timeout: 20s}") as both:
        call = both.listen(b"1,wait")
        assert b"." == await call.read()
        assert 1 == len(alarms())

        del call
        gc.collect()

        await until(lambda: [] == alarms())
