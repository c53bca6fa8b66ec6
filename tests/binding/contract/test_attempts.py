"""Hedged calls and fallbacks on the client: several attempts at once, and answers in the place of a failure."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest

from mesh.call import Outcome, Side

from .cell import METHOD, OTHER, Carrier, opened, until
from .chains import Again, Beside, Instead
from .conftest import SINGLES
from .script import ANSWER, Abort, Hang, flaky

RACING = [Carrier.AIO_CHANNEL, Carrier.AIO_INTERCEPTORS, Carrier.SYNC_CHANNEL]
"""Carriers on which attempts of calls with one response run side by side, however the call is made."""


@pytest.fixture(params=RACING, ids=lambda carrier: carrier.value)
async def racing(request, single):
    async with opened(single, Side.CLIENT, request.param) as cell:
        cell.chains.hedge = Beside(3, 0.05)
        yield cell


@pytest.fixture
async def one(single, carrier):
    """A cell with one response and the chain on the client."""
    async with opened(single, Side.CLIENT, carrier) as cell:
        yield cell


def slow_first(number):
    return (Hang(),) if number == 1 else ANSWER


@pytest.mark.parametrize("how", ["call", "start"])
async def test_another_attempt_answers_when_the_first_is_slow(racing, how):
    racing.chains.hedge = Beside(2, 0.05)
    racing.backend.script = slow_first

    if how == "call":
        assert racing.expected == await racing.call()
    else:
        assert racing.expected == await racing.collect(racing.start())

    await until(racing.backend.cancelled.is_set)  # the loser's server sees it
    assert 2 == racing.backend.calls
    assert [0] == racing.chains.per_call.codes
    assert [0, 1] == sorted(racing.chains.per_attempt.codes)


async def test_a_failure_that_does_not_decide_starts_the_next_at_once(racing):
    racing.chains.hedge = Beside(3, 60.0)
    racing.backend.script = flaky(2)
    began = time.monotonic()

    assert racing.expected == await racing.call()

    assert time.monotonic() - began < 30.0
    assert [14, 14, 0] == racing.chains.per_attempt.codes


async def test_a_failure_that_decides_ends_the_call(racing):
    racing.backend.script = lambda number: (Abort(grpc.StatusCode.NOT_FOUND, "gone"),)

    with pytest.raises(grpc.RpcError) as caught:
        await racing.call()

    assert grpc.StatusCode.NOT_FOUND == caught.value.code()
    assert [5] == racing.chains.per_call.codes


async def test_a_hedged_call_cancelled_cancels_all_its_attempts(racing):
    racing.backend.script = lambda number: (Hang(),)
    call = racing.start()
    await until(lambda: racing.backend.calls == 3)

    if racing.carrier.sync:
        call.cancel()
    else:
        waiting = asyncio.ensure_future(racing.collect(call))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    await racing.settled()
    assert [1] == racing.chains.per_call.codes
    assert [1, 1, 1] == racing.chains.per_attempt.codes


@pytest.mark.parametrize("single", SINGLES, ids=lambda arity: arity.value)
async def test_without_a_channel_of_ours_attempts_of_a_call_that_blocks_follow_each_other(single):
    async with opened(single, Side.CLIENT, Carrier.SYNC_INTERCEPTORS) as cell:
        cell.chains.hedge = Beside(3, 0.01)
        cell.backend.script = flaky(2)

        assert cell.expected == await cell.call()

        assert [14, 14, 0] == cell.chains.per_attempt.codes


async def test_streams_of_plain_grpc_are_tried_one_after_the_other(streaming):
    for carrier in (Carrier.SYNC_CHANNEL, Carrier.SYNC_INTERCEPTORS):
        async with opened(streaming, Side.CLIENT, carrier) as cell:
            cell.chains.hedge = Beside(3, 0.01)
            cell.backend.script = flaky(2)

            assert cell.expected == await cell.call()

            assert [14, 14, 0] == cell.chains.per_attempt.codes
            assert [0] == cell.chains.per_call.codes


async def test_another_method_may_answer(one):
    one.chains.fallback = Instead(OTHER)
    one.backend.script = flaky(1)

    assert one.expected == await one.call()

    assert [METHOD, OTHER] == [f"/contract.Service/{name}" for name in one.backend.methods]
    assert [0] == one.chains.per_call.codes


async def test_when_the_other_method_fails_the_failure_stands(one):
    one.chains.fallback = Instead(OTHER)
    one.chains.retry = Again(1)
    one.backend.script = flaky(9)

    with pytest.raises(grpc.RpcError) as caught:
        await one.call()

    assert "attempt 1" == caught.value.details()
    assert [14] == one.chains.per_call.codes


@pytest.mark.parametrize(
    "carrier", [Carrier.AIO_CHANNEL, Carrier.SYNC_CHANNEL], ids=lambda carrier: carrier.value
)
async def test_a_stage_may_answer(single, carrier):
    """With the response's wire form, which a channel of ours deserializes."""
    async with opened(single, Side.CLIENT, carrier) as cell:
        cell.chains.fallback = Instead(Outcome(0, value=b"static", answered_by="fallback"))
        cell.backend.script = flaky(9)

        assert [b"static"] == await cell.call()
        call = cell.start()
        assert [b"static"] == await cell.collect(call)
        assert grpc.StatusCode.OK == await cell.ask(call, "code")
