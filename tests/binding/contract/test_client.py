"""What holds on the client only: attempts, and the surface of the call object."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
import pytest

from mesh.call import Arity

from .conftest import Again


def flaky(failures):
    async def script(number, context):
        if number <= failures:
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"attempt {number}")
        return [b"one", b"two"]

    return script


async def test_a_failed_attempt_is_followed_by_another(client):
    client.backend.script = flaky(2)
    client.chains.retry = Again(3)

    assert client.expected == await client.call()

    assert 3 == client.backend.calls
    assert [0] == client.chains.per_call.codes
    assert [14, 14, 0] == client.chains.per_attempt.codes


async def test_when_attempts_run_out_the_last_one_stands(client):
    client.backend.script = flaky(9)
    client.chains.retry = Again(3)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.call()

    assert "attempt 3" == caught.value.details()
    assert [14] == client.chains.per_call.codes
    assert [14, 14, 14] == client.chains.per_attempt.codes


@pytest.mark.parametrize("arity", [Arity.STREAM_UNARY, Arity.STREAM_STREAM], ids=lambda arity: arity.value)
async def test_a_one_shot_iterator_is_not_sent_twice(client):
    async def requests():
        yield b"a"

    client.backend.script = flaky(1)
    client.chains.retry = Again(3)

    with pytest.raises(grpc.aio.AioRpcError):
        await client.collect(client.start(requests()))

    assert [14] == client.chains.per_attempt.codes


async def test_no_retry_after_the_first_message(client_stream):
    async def script(number, context):
        await context.write(b"one")
        await context.abort(grpc.StatusCode.UNAVAILABLE, "torn")

    client_stream.backend.script = script
    client_stream.chains.retry = Again(3)

    with pytest.raises(grpc.aio.AioRpcError):
        await client_stream.call()

    assert 1 == client_stream.backend.calls
    assert [14] == client_stream.chains.per_attempt.codes


async def test_metadata_travels_both_ways(client):
    async def script(number, context):
        await context.send_initial_metadata((("opening", "yes"),))
        context.set_trailing_metadata((("closing", "yes"),))
        return [b"one", b"two"]

    client.backend.script = script
    call = client.start(metadata=(("asked", "yes"),))

    assert "yes" == (await call.initial_metadata())["opening"]
    assert client.expected == await client.collect(call)
    assert "yes" == (await call.trailing_metadata())["closing"]
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

    assert grpc.StatusCode.OK == await call.code()
    assert "" == await call.details()
    assert call.done()
    assert not call.cancelled()


async def test_done_callbacks_fire_once(client):
    called = []
    call = client.start()
    call.add_done_callback(called.append)

    await client.collect(call)
    await asyncio.sleep(0.05)

    assert 1 == len(called)


async def test_the_code_of_an_unread_stream_counts_its_retries(client_stream):
    """Asking for the code first drives the attempts as reading would."""

    async def script(number, context):
        await context.abort(grpc.StatusCode.UNAVAILABLE if number == 1 else grpc.StatusCode.NOT_FOUND, "no")

    client_stream.backend.script = script
    client_stream.chains.retry = Again(2)

    assert grpc.StatusCode.NOT_FOUND == await client_stream.start().code()
    assert [5] == client_stream.chains.per_call.codes


async def test_reading_message_by_message(client_stream):
    call = client_stream.start()

    assert b"one" == await call.read()
    assert b"two" == await call.read()
    assert grpc.aio.EOF is await call.read()
    assert [0] == client_stream.chains.per_call.codes


@pytest.mark.parametrize("arity", [Arity.STREAM_STREAM], ids=lambda arity: arity.value)
async def test_a_conversation_by_write_and_read(client):
    client.backend.reads_all = False
    call = client.channel.stream_stream("/contract.Service/Method")()

    await call.write(b"a")
    assert b"one" == await call.read()
    await call.done_writing()
    assert b"two" == await call.read()
    assert grpc.aio.EOF is await call.read()
    assert grpc.StatusCode.OK == await call.code()
    assert [0] == client.chains.per_call.codes


@pytest.mark.parametrize("arity", [Arity.STREAM_UNARY], ids=lambda arity: arity.value)
async def test_writing_a_stream_unary_call(client):
    call = client.channel.stream_unary("/contract.Service/Method")()

    await call.write(b"a")
    await call.done_writing()

    assert b"one" == await call
    assert [0] == client.chains.per_call.codes


async def test_a_closing_connection_is_an_outcome(client):
    """The backend is gone: the status is UNAVAILABLE and the stages learn it."""

    async def script(number, context):
        return [b"one"]

    client.backend.script = script
    async with grpc.aio.insecure_channel(
        "127.0.0.1:1", interceptors=client.sides[0], options=[("grpc.enable_retries", 0)]
    ) as channel:
        client.channel = channel

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.call()

    assert grpc.StatusCode.UNAVAILABLE == caught.value.code()
    assert [14] == client.chains.per_call.codes
