"""Streams that are quiet for too long, or too old, are ended by their client, whoever waits for what."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from mesh.call import Arity, Side
from mesh.policy.stream import StreamPolicy
from mesh.stage.stream_limit import StreamLimit

from .cell import Carrier, opened, until
from .script import Hang, Send, always

IDLE = StreamPolicy(idle_timeout=0.2, max_age=None)
OLD = StreamPolicy(idle_timeout=None, max_age=0.2)
LONG = StreamPolicy(idle_timeout=30.0, max_age=30.0)

STREAMS = [
    (arity, carrier)
    for arity in Arity
    for carrier in Carrier
    # Two calls that cannot be ended from this side: one without a stream, and one that blocks inside an interceptor.
    if arity is not Arity.UNARY_UNARY and (arity, carrier) != (Arity.STREAM_UNARY, Carrier.SYNC_INTERCEPTORS)
]


@pytest.fixture(params=STREAMS, ids=lambda param: f"{param[0].value}-{param[1].value}")
async def limited(request):
    """A client's cell with a stream on either side, whose server says nothing."""
    arity, carrier = request.param
    async with opened(arity, Side.CLIENT, carrier) as cell:
        cell.chains.extra = (StreamLimit(IDLE),)
        cell.backend.script = always(Hang())
        yield cell


@pytest.mark.parametrize(
    ("policy", "details"), [(IDLE, "no message for 0.2s"), (OLD, "is 0.2s old")], ids=["idle", "old"]
)
async def test_a_call_ends_when_its_time_is_up(limited, policy, details):
    limited.chains.extra = (StreamLimit(policy),)

    with pytest.raises(grpc.RpcError) as caught:
        await limited.call()

    await limited.settled()
    assert grpc.StatusCode.ABORTED == caught.value.code()
    assert details in caught.value.details()
    assert [10] == limited.chains.per_call.codes
    await until(limited.backend.cancelled.is_set)


async def test_one_that_nobody_waits_for_ends_too_and_says_so_to_who_reads_late(limited):
    call = limited.start()

    await until(lambda: limited.chains.per_call.codes == [10])
    assert call.done()
    with pytest.raises(grpc.RpcError) as caught:
        await limited.collect(call)
    assert grpc.StatusCode.ABORTED == caught.value.code()
    assert "no message for 0.2s" in await limited.ask(call, "details")


async def test_the_time_since_the_last_message_counts(limited):
    if not limited.arity.response_streams:
        return
    limited.backend.script = always(Send(b"one"), Hang())
    call = limited.start()

    assert b"one" == await limited.read(call)
    with pytest.raises(grpc.RpcError) as caught:
        await limited.read(call)

    assert grpc.StatusCode.ABORTED == caught.value.code()
    assert [10] == limited.chains.per_call.codes


async def test_a_call_that_is_in_time_is_left_alone(limited):
    limited.chains.extra = (StreamLimit(LONG),)
    limited.backend.script = always(*(Send(message) for message in limited.expected))

    assert limited.expected == await limited.call()

    await limited.settled()
    assert [0] == limited.chains.per_call.codes


async def test_a_call_that_is_cancelled_first_is_cancelled(limited):
    limited.chains.extra = (StreamLimit(LONG),)
    call = limited.start()
    await until(limited.backend.entered.is_set)

    call.cancel()

    with pytest.raises((grpc.RpcError, grpc.FutureCancelledError, asyncio.CancelledError)):
        await limited.collect(call)
    await limited.settled()
    assert [1] == limited.chains.per_call.codes
