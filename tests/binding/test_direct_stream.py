"""Calls of every arity as the gateway makes them: bytes both ways, the end as a value, nothing left running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Self

import grpc.aio
import pytest

from mesh.binding.destination import Destination
from mesh.binding.direct import Direct
from mesh.call import Arity, Side

from .chat import ASK, LISTEN, TALK, TELL, pair, runtime
from .node import until

METHODS = {
    Arity.UNARY_UNARY: ASK,
    Arity.UNARY_STREAM: LISTEN,
    Arity.STREAM_UNARY: TELL,
    Arity.STREAM_STREAM: TALK,
}
ALL = pytest.mark.parametrize("arity", METHODS)
UPLOADS = pytest.mark.parametrize("arity", [Arity.STREAM_UNARY, Arity.STREAM_STREAM])


async def given(*messages: bytes) -> AsyncIterator[bytes]:
    for message in messages:
        yield message


def requests(arity: Arity, message: bytes) -> bytes | AsyncIterator[bytes]:
    return given(message) if arity.request_streams else message


class Calls:
    """A server, and the gateway's way to it."""

    def __init__(self, policy: str = "") -> None:
        self._pair = pair()
        self._using = runtime(policy)

    async def __aenter__(self) -> Self:
        self.both = await self._pair.__aenter__()
        self.channel = grpc.aio.insecure_channel(self.both.address)
        self.direct = Direct(Destination(self.channel, self._using.chains(Side.CLIENT, "chat")))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.channel.close()
        await self._pair.__aexit__(*error)

    async def open(self, arity: Arity, messages: bytes | AsyncIterator[bytes], **options: object):
        return await self.direct.open(METHODS[arity], messages, arity=arity, **options)


@ALL
async def test_ok(arity):
    async with Calls() as calls:
        stream = await calls.open(arity, requests(arity, b"3"))
        responses = [message async for message in stream]
        assert [b"..."] == responses if arity is not Arity.STREAM_UNARY else len(responses) == 1
        assert 0 == stream.outcome.code
        assert stream.has_opened
        assert isinstance(await stream.initial_metadata(), tuple)
        assert [] == [message async for message in stream]


@ALL
async def test_a_failure_is_a_value(arity):
    async with Calls() as calls:
        stream = await calls.open(arity, requests(arity, b"no number"))
        assert [] == [message async for message in stream] or arity is Arity.STREAM_UNARY
        if arity is not Arity.STREAM_UNARY:
            assert 2 == stream.outcome.code


@ALL
async def test_what_the_chain_rejects_never_goes_out(arity):
    async with Calls("retry: {enabled: false}, fault: {abort: {code: STATUS_CODE_INTERNAL}}") as calls:
        stream = await calls.open(arity, requests(arity, b"1"))
        assert [] == [message async for message in stream]
        assert 13 == stream.outcome.code
        assert () == await stream.initial_metadata()
        assert 0 == calls.both.chat.entered


@ALL
async def test_messages_are_heard(arity):
    async with Calls("message_limit: {max_request_bytes: 4}") as calls:
        stream = await calls.open(arity, requests(arity, b"00001"))
        assert [] == [message async for message in stream]
        assert 8 == stream.outcome.code


class BrokenError(Exception):
    """Raised by a stream of requests."""


@UPLOADS
@pytest.mark.parametrize("before", [0, 1])
async def test_what_the_requests_raise_is_raised_to_whoever_reads(arity, before):
    async def breaking() -> AsyncIterator[bytes]:
        for _ in range(before):
            yield b"1"
            await asyncio.sleep(0.02)
        raise BrokenError

    async with Calls() as calls:
        stream = await calls.open(arity, breaking())
        with pytest.raises(BrokenError):
            async for _ in stream:
                pass
        with pytest.raises(BrokenError):
            await anext(stream)
        if before and arity is Arity.STREAM_UNARY:
            await until(lambda: calls.both.chat.cancelled == 1)


@UPLOADS
async def test_cancelling_ends_the_call(arity):
    async def endless() -> AsyncIterator[bytes]:
        yield b"1"
        await asyncio.Event().wait()

    async with Calls() as calls:
        stream = await calls.open(arity, endless())
        reading = asyncio.create_task(_read(stream))
        await until(lambda: calls.both.chat.received)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        if arity is Arity.STREAM_UNARY:
            await until(lambda: calls.both.chat.cancelled == 1)


async def _read(stream: AsyncIterator[bytes]) -> None:
    async for _ in stream:
        pass


async def test_a_deadline():
    async with Calls() as calls:
        stream = await calls.open(Arity.UNARY_STREAM, b"1,wait", timeout=0.2)
        assert [b"."] == [message async for message in stream]
        assert 4 == stream.outcome.code
