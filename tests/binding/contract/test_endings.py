"""However a call ends: the caller sees what raw gRPC would show, and every stage settles exactly once."""

from __future__ import annotations

import asyncio
import gc

import grpc
import grpc.aio
import pytest

from mesh.call import Arity, Outcome, Side
from mesh.engine import Stage


def drop(call):
    """Let go of a call. A raw grpc.aio stream keeps itself alive until it ends, so it takes a cancel."""
    if not isinstance(call, grpc.aio._interceptor.InterceptedCall):
        call.cancel()


async def test_ok(cell):
    assert cell.expected == await cell.call()

    await cell.settled()
    assert [0] == cell.chains.per_call.codes
    assert [0] == cell.chains.per_attempt.codes


async def test_an_abort_keeps_code_details_and_trailers(cell):
    async def script(number, context):
        await context.abort(grpc.StatusCode.NOT_FOUND, "gone", (("reason", "sold"),))

    cell.backend.script = script

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await cell.call()

    await cell.settled()
    assert grpc.StatusCode.NOT_FOUND == caught.value.code()
    assert "gone" == caught.value.details()
    assert "sold" == dict(caught.value.trailing_metadata())["reason"]
    assert [5] == cell.chains.per_call.codes
    assert [5] == cell.chains.per_attempt.codes


async def test_a_code_set_without_abort(cell):
    async def script(number, context):
        context.set_code(grpc.StatusCode.RESOURCE_EXHAUSTED)
        context.set_details("full")
        return [b"one"]

    cell.backend.script = script

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await cell.call()

    await cell.settled()
    assert grpc.StatusCode.RESOURCE_EXHAUSTED == caught.value.code()
    assert [8] == cell.chains.per_call.codes


async def test_a_handler_that_raises_is_unknown(cell):
    async def script(number, context):
        raise ValueError("a bug")

    cell.backend.script = script

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await cell.call()

    await cell.settled()
    assert grpc.StatusCode.UNKNOWN == caught.value.code()
    assert [2] == cell.chains.per_call.codes
    assert [2] == cell.chains.per_attempt.codes


@pytest.mark.parametrize("scope", ["per_call", "per_attempt"])
async def test_a_rejection_never_reaches_the_backend(cell, scope):
    getattr(cell.chains, scope).rejection = Outcome(8, "too many", rejected_by="recorder")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await cell.call()

    await cell.settled()
    assert grpc.StatusCode.RESOURCE_EXHAUSTED == caught.value.code()
    assert "too many" == caught.value.details()
    assert 0 == cell.backend.calls
    assert ([] if scope == "per_call" else [8]) == cell.chains.per_call.codes


async def test_a_cancelled_call_reaches_the_backend_and_settles_once(cell):
    cell.backend.script = cell.backend.hang
    call = cell.start()
    collecting = asyncio.ensure_future(cell.collect(call))
    await cell.backend.entered.wait()

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await collecting
    await asyncio.wait_for(cell.backend.cancelled.wait(), 5)
    await cell.settled()
    assert [1] == cell.chains.per_call.codes
    assert [1] == cell.chains.per_attempt.codes
    assert call.cancelled()
    assert grpc.StatusCode.CANCELLED == await call.code()


async def test_cancelling_the_waiting_task_cancels_the_call(cell):
    cell.backend.script = cell.backend.hang
    collecting = asyncio.ensure_future(cell.call())
    await cell.backend.entered.wait()

    collecting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await collecting
    await asyncio.wait_for(cell.backend.cancelled.wait(), 5)
    await cell.settled()
    assert [1] == cell.chains.per_call.codes


async def test_a_timeout_reaches_the_backend_and_settles_as_deadline_exceeded(cell):
    cell.backend.script = cell.backend.hang

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await cell.call(timeout=0.2)

    await cell.settled()
    assert grpc.StatusCode.DEADLINE_EXCEEDED == caught.value.code()
    assert 0 < cell.backend.remaining[0] <= 0.25
    # The client's cancellation may overtake the server's own clock by what the request took to arrive.
    assert cell.chains.per_call.codes == [4] or (
        cell.side is Side.SERVER and cell.chains.per_call.codes == [1]
    )


async def test_a_stage_that_raises_in_admit_fails_the_call(cell):
    class Broken(Stage):
        name = "broken"

        def admit(self, call, now):
            raise KeyError("a bug of the stage")

    cell.chains.extra = (Broken(),)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await cell.call()

    await cell.settled()
    assert grpc.StatusCode.INTERNAL == caught.value.code()
    assert "stage broken failed" == caught.value.details()
    assert [13] == cell.chains.per_call.codes
    assert 1 == len(cell.chains.broken)


async def test_a_stage_that_raises_in_settle_stops_nobody(cell):
    class Broken(Stage):
        name = "broken"

        def settle(self, call, ticket, outcome, now):
            raise KeyError("a bug of the stage")

    cell.chains.extra = (Broken(),)

    assert cell.expected == await cell.call()

    await cell.settled()
    assert [0] == cell.chains.per_call.codes
    assert 1 == len(cell.chains.broken)


async def test_a_stream_left_half_read_is_cancelled_and_settles_once(stream):
    async def script(number, context):
        await context.write(b"one")
        return await stream.backend.hang(number, context)

    stream.backend.script = script
    call = stream.start()
    assert b"one" == await call.read() if stream.side is Side.CLIENT else await anext(aiter(call))

    drop(call)
    del call
    gc.collect()

    await asyncio.wait_for(stream.backend.cancelled.wait(), 5)
    await stream.settled()
    assert [1] == stream.chains.per_call.codes
    assert [1] == stream.chains.per_attempt.codes


async def test_a_stream_never_read_is_cancelled_and_settles_once(stream):
    stream.backend.script = stream.backend.hang
    call = stream.start()
    await stream.backend.entered.wait()

    drop(call)
    del call
    gc.collect()

    await asyncio.wait_for(stream.backend.cancelled.wait(), 5)
    await stream.settled()
    assert [1] == stream.chains.per_call.codes


async def test_an_error_after_the_first_message(stream):
    async def script(number, context):
        await context.write(b"one")
        await context.abort(grpc.StatusCode.DATA_LOSS, "torn")

    stream.backend.script = script
    received = []

    async def receive():
        async for message in stream.start():
            received.append(message)  # noqa: PERF401 - what came before the error must be kept

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await receive()

    await stream.settled()
    assert [b"one"] == received
    assert grpc.StatusCode.DATA_LOSS == caught.value.code()
    assert [15] == stream.chains.per_call.codes


async def test_an_empty_stream(stream):
    async def script(number, context):
        return []

    stream.backend.script = script

    assert [] == await stream.call()

    await stream.settled()
    assert [0] == stream.chains.per_call.codes


async def test_many_calls_at_once(cell):
    """No state of one call leaks into another."""
    answers = await asyncio.gather(*(cell.call() for _ in range(50)))

    await cell.settled()
    assert [cell.expected] * 50 == answers
    assert [0] * 50 == cell.chains.per_call.codes


def test_every_cell_is_here(arity, side):
    """The matrix is the product; a new arity or side joins every test above by itself."""
    assert arity in Arity
    assert side in Side
