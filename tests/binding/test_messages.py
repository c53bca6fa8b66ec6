"""Sizes and counts of messages, between a real server and real clients."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest

from mesh.binding.destination import Destination
from mesh.binding.direct import Direct
from mesh.call import Arity, Side
from tests.binding.chat import (
    ASK,
    LISTEN,
    PLAIN,
    counted,
    pair,
    refused,
    runtime,
)
from tests.binding.node import until

# Sizes

SMALL_REQUESTS = "message_limit: {max_request_bytes: 4}"
SMALL_RESPONSES = "message_limit: {max_response_bytes: 4}"


@PLAIN
async def test_a_large_request_does_not_leave_its_client(plain):
    async with pair(client=SMALL_REQUESTS, plain=plain) as both:
        for call in (
            both.ask(b"00001"),
            both.listen(b"00001"),
            both.tell([b"1", b"00001"]),
            both.talk([b"00001"]),
        ):
            error = await refused(call)

            assert grpc.StatusCode.RESOURCE_EXHAUSTED is error.code()
            assert "the request has 5 bytes" in error.details()

        assert b"00001" not in both.chat.received
        assert b"...." == await both.ask(b"4")


@PLAIN
async def test_a_large_request_does_not_enter_its_handler(plain):
    async with pair(server=SMALL_REQUESTS, plain=plain) as both:
        for call in (both.ask(b"00001"), both.listen(b"00001")):
            error = await refused(call)

            assert grpc.StatusCode.RESOURCE_EXHAUSTED is error.code()
            assert "the request has 5 bytes" in error.details()

        assert 0 == both.chat.entered


async def test_a_large_request_of_a_stream_ends_its_handler():
    async with pair(server=SMALL_REQUESTS) as both:
        for call in (both.tell([b"1", b"00001"]), both.talk([b"1", b"00001"])):
            error = await refused(call)

            assert grpc.StatusCode.RESOURCE_EXHAUSTED is error.code()

        assert [b"1", b"1"] == both.chat.received
        assert 2 == both.chat.cancelled


@pytest.mark.parametrize("side", Side)
async def test_a_large_response_is_refused_on_both_sides(side):
    async with pair(**{side.value: SMALL_RESPONSES}) as both:
        for call in (both.ask(b"5"), both.listen(b"1,5"), both.talk([b"1", b"5"])):
            error = await refused(call)

            assert grpc.StatusCode.RESOURCE_EXHAUSTED is error.code()
            assert "the response has 5 bytes" in error.details()

        assert b"...." == await both.ask(b"4")


async def test_a_response_that_is_refused_is_what_the_call_object_says_too():
    async with pair(client=SMALL_RESPONSES) as both:
        call = both.listen(b"1,5")

        assert b"." == await call.read()
        with pytest.raises(grpc.aio.AioRpcError):
            await call.read()
        assert grpc.StatusCode.RESOURCE_EXHAUSTED is await call.code()
        assert call.done()
        call = both.ask(b"5")
        assert grpc.StatusCode.RESOURCE_EXHAUSTED is await call.code()
        assert "the response has 5 bytes" in await call.details()


async def test_written_requests_are_heard():
    async with pair(client=SMALL_REQUESTS) as both:
        for call in (both.tell(), both.talk()):
            await call.write(b"1")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call.write(b"00001")

            assert grpc.StatusCode.RESOURCE_EXHAUSTED is caught.value.code()
            assert grpc.StatusCode.RESOURCE_EXHAUSTED is await call.code()

        assert b"00001" not in both.chat.received


@PLAIN
async def test_a_refused_stream_of_requests_is_cut_not_completed(plain):
    """A server must not take the first half of an upload for the whole."""
    async with pair(client=SMALL_REQUESTS, plain=plain) as both:

        async def upload() -> AsyncIterator[bytes]:
            yield b"1"
            await until(lambda: both.chat.received == [b"1"])
            yield b"00001"

        await refused(both.tell(upload()))
        await until(lambda: both.chat.cancelled == 1)

        assert [b"1"] == both.chat.received


async def test_the_gateways_calls_are_heard():
    async with pair() as both:
        using = runtime("message_limit: {max_request_bytes: 4, max_response_bytes: 4}")
        async with grpc.aio.insecure_channel(both.address) as channel:
            direct = Direct(Destination(channel, using.chains(Side.CLIENT, "chat")))

            assert b"...." == (await direct.unary(ASK, b"4")).value
            assert 8 == (await direct.unary(ASK, b"00001")).code
            assert 8 == (await direct.unary(ASK, b"5")).code
            stream = await direct.open(LISTEN, b"1,5", arity=Arity.UNARY_STREAM)
            assert [b"."] == [message async for message in stream]
            assert 8 == stream.outcome.code


# Counters


@PLAIN
async def test_both_sides_count_the_messages_of_streams(plain):
    async with pair(
        server="metrics: {messages: true}", client="metrics: {messages: true}", plain=plain
    ) as both:
        await both.ask(b"1")
        assert 3 == len([message async for message in both.listen(b"1,1,1")])
        await both.tell([b"1", b"1"])
        call = both.talk()
        await call.write(b"1")
        await call.read()
        await call.done_writing()
        assert grpc.aio.EOF is await call.read()

        assert {"sent": 1 + 2 + 1, "received": 3 + 1 + 1} == counted(both.client, "mesh.client.messages")
        assert {"received": 1 + 2 + 1, "sent": 3 + 1 + 1} == counted(both.server, "mesh.server.messages")
