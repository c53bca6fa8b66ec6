"""Hedged calls to a real server: the slow attempt is overtaken, cancelled, and its server sees that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest

from mesh.call import Arity

from .node import until
from .race import METHOD, WAYS, Cell, hangs, idle, opened


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0].value}-{way[1]}")
async def cell(request: pytest.FixtureRequest) -> AsyncIterator[Cell]:
    async with opened(*request.param) as cell:
        yield cell


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

    # On a busy machine the second may start, and fail, before the first has.
    last = dict(caught.value.trailing_metadata())["who"]
    assert last in {"1", "2"}
    assert (grpc.StatusCode.UNAVAILABLE, f"attempt {last}") == (caught.value.code(), caught.value.details())
    assert 2 == cell.backend.calls
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
