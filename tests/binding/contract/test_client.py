"""What holds on the client only: attempts, and the surface of the call object."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
import pytest

from mesh.call import Arity, Side

from .cell import METHOD, Carrier, opened, until
from .chains import Again
from .script import ANSWER, Abort, Metadata, Send, always, flaky, seen


async def test_a_failed_attempt_is_followed_by_another(client):
    client.backend.script = flaky(2)
    client.chains.retry = Again(3)

    assert client.expected == await client.call()

    assert 3 == client.backend.calls
    assert [0] == client.chains.per_call.codes
    assert [14, 14, 0] == client.chains.per_attempt.codes


async def test_retries_of_a_call_that_runs_by_itself(client):
    """As the one above, for futures: nobody waits when the time of the next attempt comes."""
    client.backend.script = flaky(2)
    client.chains.retry = Again(3, 0.02)

    call = client.start()

    assert client.expected == await client.collect(call)
    assert [14, 14, 0] == client.chains.per_attempt.codes
    assert grpc.StatusCode.OK == await client.ask(call, "code")


async def test_a_call_cancelled_between_two_attempts(client):
    client.backend.script = flaky(9)
    client.chains.retry = Again(3, 60.0)
    call = client.start()
    collecting = asyncio.ensure_future(client.collect(call))
    await until(lambda: client.chains.per_attempt.codes == [14])

    call.cancel()

    with pytest.raises((asyncio.CancelledError, grpc.FutureCancelledError, grpc.RpcError)):
        await collecting
    await client.settled()
    assert [1] == client.chains.per_call.codes
    assert 1 == client.backend.calls


async def test_when_attempts_run_out_the_last_one_stands(client):
    client.backend.script = flaky(9)
    client.chains.retry = Again(3)

    with pytest.raises(grpc.RpcError) as caught:
        await client.call()

    assert "attempt 3" == caught.value.details()
    assert [14] == client.chains.per_call.codes
    assert [14, 14, 14] == client.chains.per_attempt.codes


@pytest.mark.parametrize("arity", [Arity.STREAM_UNARY, Arity.STREAM_STREAM], ids=lambda arity: arity.value)
async def test_a_one_shot_iterator_is_not_sent_twice(client):
    client.backend.script = flaky(1)
    client.chains.retry = Again(3)

    with pytest.raises(grpc.RpcError):
        await client.call(request=client.one_shot())

    assert [14] == client.chains.per_attempt.codes


@pytest.mark.parametrize("arity", [Arity.STREAM_UNARY, Arity.STREAM_STREAM], ids=lambda arity: arity.value)
async def test_a_list_of_requests_is_sent_whole_each_time(client):
    client.backend.script = flaky(1)
    client.chains.retry = Again(2)

    await client.call(request=[b"a"])

    assert [b"a", b"a"] == client.backend.requests


async def test_no_retry_after_the_first_message(client_stream):
    client_stream.backend.script = always(Send(b"one"), Abort(grpc.StatusCode.UNAVAILABLE, "torn"))
    client_stream.chains.retry = Again(3)

    with pytest.raises(grpc.RpcError):
        await client_stream.call()

    assert 1 == client_stream.backend.calls
    assert [14] == client_stream.chains.per_attempt.codes


async def test_metadata_travels_both_ways(client):
    client.backend.script = always(Metadata((("opening", "yes"),), (("closing", "yes"),)), *ANSWER)
    call = client.start(metadata=(("asked", "yes"),))

    assert "yes" == seen(await client.ask(call, "initial_metadata"))["opening"]
    assert client.expected == await client.collect(call)
    assert "yes" == seen(await client.ask(call, "trailing_metadata"))["closing"]
    assert "yes" == client.backend.metadata[0]["asked"]


async def test_stages_add_metadata_to_every_attempt(client):
    def admit(call, now):
        call.outgoing.append(("added", "yes"))
        return call

    client.chains.per_call.admit = admit
    client.backend.script = flaky(1)
    client.chains.retry = Again(2)

    await client.call(metadata=(("asked", "yes"),))

    assert [("yes", "yes")] * 2 == [(sent["asked"], sent["added"]) for sent in client.backend.metadata]


async def test_the_code_can_be_asked_for(client):
    call = client.start()
    await client.collect(call)

    assert grpc.StatusCode.OK == await client.ask(call, "code")
    assert "" == await client.ask(call, "details")
    assert call.done()
    assert not call.cancelled()


async def test_time_remaining_is_the_attempts(client_stream):
    if client_stream.carrier is Carrier.AIO_INTERCEPTORS:
        return  # grpc.aio's object around what interceptors return does not have it
    client_stream.backend.script = always(Send(b"one"), Send(b"two"))
    call = client_stream.start(timeout=30.0)

    await client_stream.read(call)

    assert 20.0 < call.time_remaining() <= 30.0
    assert not call.done()
    assert b"two" == await client_stream.read(call)


async def test_done_callbacks_fire_once(client):
    called = []
    call = client.start()
    call.add_done_callback(called.append)

    await client.collect(call)
    await asyncio.sleep(0.05)

    assert 1 == len(called)


async def test_the_code_of_an_unread_stream_counts_its_retries(client_stream):
    """Asking for the code first drives the attempts as reading would."""
    client_stream.backend.script = lambda number: (
        Abort(grpc.StatusCode.UNAVAILABLE if number == 1 else grpc.StatusCode.NOT_FOUND, "no"),
    )
    client_stream.chains.retry = Again(2)

    assert grpc.StatusCode.NOT_FOUND == await client_stream.ask(client_stream.start(), "code")
    assert [5] == client_stream.chains.per_call.codes


async def test_reading_message_by_message(client_stream):
    call = client_stream.start()

    assert b"one" == await client_stream.read(call)
    assert b"two" == await client_stream.read(call)
    assert await client_stream.read(call) is None
    assert [0] == client_stream.chains.per_call.codes


async def test_a_closing_connection_is_an_outcome(client):
    """The backend is gone: the status is UNAVAILABLE and the stages learn it."""
    async with client.connected("127.0.0.1:1"):
        with pytest.raises(grpc.RpcError) as caught:
            await client.call()

    assert grpc.StatusCode.UNAVAILABLE == caught.value.code()
    assert [14] == client.chains.per_call.codes


# Writing, which grpc.aio has only


AIO = [carrier for carrier in Carrier if not carrier.sync]


@pytest.mark.parametrize("carrier", AIO, ids=lambda carrier: carrier.value)
async def test_a_conversation_by_write_and_read(carrier):
    async with opened(Arity.STREAM_STREAM, Side.CLIENT, carrier) as client:
        client.backend.reads_all = False
        call = client.channel.stream_stream(METHOD)()

        await call.write(b"a")
        assert b"one" == await call.read()
        await call.done_writing()
        assert b"two" == await call.read()
        assert grpc.aio.EOF is await call.read()
        assert grpc.StatusCode.OK == await call.code()
        assert [0] == client.chains.per_call.codes


@pytest.mark.parametrize("carrier", AIO, ids=lambda carrier: carrier.value)
async def test_writing_a_stream_unary_call(carrier):
    async with opened(Arity.STREAM_UNARY, Side.CLIENT, carrier) as client:
        call = client.channel.stream_unary(METHOD)()

        await call.write(b"a")
        await call.done_writing()

        assert b"one" == await call
        assert [0] == client.chains.per_call.codes
