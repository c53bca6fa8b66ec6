"""However a call ends: the caller sees what raw gRPC would show, and every stage settles exactly once."""

from __future__ import annotations

import asyncio
import gc

import grpc
import pytest

from mesh.call import Arity, Outcome, Side
from mesh.contract import Stage

from .cell import Carrier, opened, until
from .script import ANSWER, Abort, Hang, Raise, Send, SetCode, always, seen

GONE = (asyncio.CancelledError, grpc.FutureCancelledError, grpc.RpcError)
"""What waiting for a cancelled call raises: by grpc.aio, by plain grpc's futures, by its streams."""


async def test_ok(cell):
    assert cell.expected == await cell.call()

    await cell.settled()
    assert [0] == cell.chains.per_call.codes
    assert [0] == cell.chains.per_attempt.codes


async def test_an_abort_keeps_code_details_and_trailers(cell):
    cell.backend.script = always(Abort(grpc.StatusCode.NOT_FOUND, "gone", (("reason", "sold"),)))

    with pytest.raises(grpc.RpcError) as caught:
        await cell.call()

    await cell.settled()
    assert grpc.StatusCode.NOT_FOUND == caught.value.code()
    assert "gone" == caught.value.details()
    assert "sold" == seen(caught.value.trailing_metadata())["reason"]
    assert [5] == cell.chains.per_call.codes
    assert [5] == cell.chains.per_attempt.codes


async def test_a_code_set_without_abort(cell):
    cell.backend.script = always(SetCode(grpc.StatusCode.RESOURCE_EXHAUSTED, "full"), Send(b"one"))

    with pytest.raises(grpc.RpcError) as caught:
        await cell.call()

    await cell.settled()
    assert grpc.StatusCode.RESOURCE_EXHAUSTED == caught.value.code()
    assert [8] == cell.chains.per_call.codes


async def test_a_handler_that_raises_is_unknown(cell):
    cell.backend.script = always(Raise(ValueError("a bug")))

    with pytest.raises(grpc.RpcError) as caught:
        await cell.call()

    await cell.settled()
    assert grpc.StatusCode.UNKNOWN == caught.value.code()
    assert [2] == cell.chains.per_call.codes
    assert [2] == cell.chains.per_attempt.codes


async def test_a_handler_that_raises_after_it_set_a_code(cell):
    cell.backend.script = always(
        SetCode(grpc.StatusCode.FAILED_PRECONDITION, "not now"), Raise(ValueError("so it stops"))
    )

    with pytest.raises(grpc.RpcError) as caught:
        await cell.call()

    await cell.settled()
    assert [caught.value.code().value[0]] == cell.chains.per_call.codes


@pytest.mark.parametrize("scope", ["per_call", "per_attempt"])
async def test_a_rejection_never_reaches_the_backend(cell, scope):
    getattr(cell.chains, scope).rejection = Outcome(
        8, "too many", rejected_by="recorder", trailing=(("wait", "1"),)
    )

    with pytest.raises(grpc.RpcError) as caught:
        await cell.call()

    await cell.settled()
    assert grpc.StatusCode.RESOURCE_EXHAUSTED == caught.value.code()
    assert "too many" == caught.value.details()
    assert "1" == seen(caught.value.trailing_metadata())["wait"]
    assert 0 == cell.backend.calls
    assert ([] if scope == "per_call" else [8]) == cell.chains.per_call.codes


async def test_a_cancelled_call_reaches_the_backend_and_settles_once(cell):
    cell.backend.script = always(Hang())
    call = cell.start()
    collecting = asyncio.ensure_future(cell.collect(call))
    await until(cell.backend.entered.is_set)

    call.cancel()

    with pytest.raises(GONE):
        await collecting
    await until(cell.backend.cancelled.is_set)
    await cell.settled()
    assert [1] == cell.chains.per_call.codes
    assert [1] == cell.chains.per_attempt.codes
    assert call.cancelled()
    assert call.done()
    assert grpc.StatusCode.CANCELLED == await cell.ask(call, "code")
    assert not call.cancel()


async def test_a_timeout_reaches_the_backend_and_settles_as_deadline_exceeded(cell):
    cell.backend.script = always(Hang())

    with pytest.raises(grpc.RpcError) as caught:
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

    with pytest.raises(grpc.RpcError) as caught:
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
    stream.backend.script = always(Send(b"one"), Hang())
    call = stream.start()
    assert b"one" == await stream.read(call)

    stream.drop(call)
    del call
    gc.collect()

    await until(stream.backend.cancelled.is_set)
    await stream.settled()
    assert [1] == stream.chains.per_call.codes
    assert [1] == stream.chains.per_attempt.codes


async def test_a_call_never_read_is_cancelled_and_settles_once(cell):
    if not (cell.arity.response_streams or cell.carrier.sync):
        return  # grpc.aio's calls with one response run in a task, which goes on without whoever started it
    cell.backend.script = always(Hang())
    call = cell.start()
    await until(cell.backend.entered.is_set)

    cell.drop(call)
    del call
    gc.collect()

    await until(cell.backend.cancelled.is_set)
    await cell.settled()
    assert [1] == cell.chains.per_call.codes


async def test_an_error_after_the_first_message(stream):
    stream.backend.script = always(Send(b"one"), Abort(grpc.StatusCode.DATA_LOSS, "torn"))
    call = stream.start()

    assert b"one" == await stream.read(call)
    with pytest.raises(grpc.RpcError) as caught:
        await stream.read(call)

    await stream.settled()
    assert grpc.StatusCode.DATA_LOSS == caught.value.code()
    assert [15] == stream.chains.per_call.codes


async def test_an_empty_stream(stream):
    stream.backend.script = always()

    assert [] == await stream.call()

    await stream.settled()
    assert [0] == stream.chains.per_call.codes


async def test_many_calls_at_once(cell):
    """No state of one call leaks into another."""
    answers = await asyncio.gather(*(cell.call() for _ in range(50)))

    await cell.settled()
    assert [cell.expected] * 50 == answers
    assert [0] * 50 == cell.chains.per_call.codes


# What one of the two APIs has only


@pytest.mark.parametrize(
    "carrier", [carrier for carrier in Carrier if not carrier.sync], ids=lambda c: c.value
)
@pytest.mark.parametrize("side", list(Side), ids=lambda side: side.value)
async def test_cancelling_the_waiting_task_cancels_the_call(arity, side, carrier):
    """A thread that waits cannot be cancelled; a task can."""
    async with opened(arity, side, carrier) as cell:
        cell.backend.script = always(Hang())
        collecting = asyncio.ensure_future(cell.call())
        await until(cell.backend.entered.is_set)

        collecting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await collecting
        await until(cell.backend.cancelled.is_set)
        await cell.settled()
        assert [1] == cell.chains.per_call.codes


async def test_a_handler_that_writes_its_messages(streaming):
    """grpc.aio has two kinds of handlers of response streams; plain grpc has one."""
    async with opened(streaming, Side.SERVER, Carrier.AIO_CHANNEL) as cell:
        cell.backend.writes = True

    async with cell.opened():
        assert cell.expected == await cell.call()
        cell.backend.script = always(Send(b"one"), Abort(grpc.StatusCode.DATA_LOSS, "torn"))
        with pytest.raises(grpc.RpcError, match="torn"):
            await cell.call()

        await cell.settled()
        assert [0, 15] == cell.chains.per_call.codes


def test_every_cell_is_here(arity, place):
    """The matrix is the product; a new arity or carrier joins every test above by itself."""
    assert arity in Arity
    assert place[0] in Side
    assert ANSWER
