"""Stages that listen hear every message once, in both directions, and may end the call with one."""

from __future__ import annotations

import grpc
import pytest

from .chains import Again, Listener
from .script import flaky


@pytest.fixture
async def listening(cell):
    """Any cell, with a stage that listens."""
    cell.listener = Listener()
    cell.chains.extra = (cell.listener,)
    return cell


async def test_every_message_is_heard_once(listening):
    request, response = ("sent", "received") if listening.side.value == "client" else ("received", "sent")

    assert listening.expected == await listening.call()

    await listening.settled()
    heard = [(request, b"a"), *((response, message) for message in listening.expected)]
    assert heard == listening.listener.heard


async def test_a_request_is_heard_once_whatever_is_retried(client):
    client.chains.extra = (listener := Listener(),)
    client.chains.retry = Again(2)
    client.backend.script = flaky(1)

    await client.call()

    assert [("sent", b"a")] == [heard for heard in listener.heard if heard[0] == "sent"]


async def test_a_request_may_be_refused(listening):
    listening.listener.against = b"a"

    with pytest.raises(grpc.RpcError) as caught:
        await listening.call()

    await listening.settled()
    assert grpc.StatusCode.FAILED_PRECONDITION == caught.value.code()
    assert "not this one" == caught.value.details()
    assert [9] == listening.chains.per_call.codes
    assert listening.backend.requests == []


async def test_a_stream_of_requests_refused_halfway_is_cut_and_not_completed(listening):
    """Its server must not take half of it for the whole."""
    if not listening.arity.request_streams:
        return
    listening.listener.against = b"bad"

    with pytest.raises(grpc.RpcError) as caught:
        await listening.call(request=[b"a", b"bad"])

    await listening.settled()
    assert grpc.StatusCode.FAILED_PRECONDITION == caught.value.code()
    assert [9] == listening.chains.per_call.codes
    assert listening.backend.requests in ([], [b"a"])


async def test_a_response_may_be_refused(listening):
    listening.listener.against = b"one"

    with pytest.raises(grpc.RpcError) as caught:
        await listening.call()

    await listening.settled()
    assert grpc.StatusCode.FAILED_PRECONDITION == caught.value.code()
    assert [9] == listening.chains.per_call.codes


async def test_a_later_message_of_a_stream_may_be_refused(stream):
    stream.chains.extra = (Listener(against=b"two"),)
    call = stream.start()

    assert b"one" == await stream.read(call)
    with pytest.raises(grpc.RpcError) as caught:
        await stream.read(call)

    await stream.settled()
    assert grpc.StatusCode.FAILED_PRECONDITION == caught.value.code()
    assert [9] == stream.chains.per_call.codes
