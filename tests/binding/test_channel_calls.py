"""What a unary call on a mesh channel is besides awaited once: awaited late, twice or never, intercepted, closed under it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest

import mesh
from mesh.binding.channel_aio import Channel
from mesh.binding.destination import Destination
from mesh.call import Outcome

from .contract.chains import Again, Chains, Instead
from .node import GET, PUT, Node, running, runtime


@contextlib.asynccontextmanager
async def opened(**options) -> AsyncIterator[tuple[Node, Chains, Channel]]:
    async with running(1) as [node]:
        chains = Chains()
        raw = grpc.aio.insecure_channel(node.address, options=[("grpc.enable_retries", 0)])
        async with Channel(Destination(raw, chains), **options) as channel:
            yield node, chains, channel


async def ended(call) -> None:
    over = asyncio.Event()
    call.add_done_callback(lambda _: over.set())
    async with asyncio.timeout(5):
        await over.wait()


async def test_a_call_settles_when_it_ends_not_when_it_is_awaited():
    async with opened() as (_, chains, channel):
        call = channel.unary_unary(GET)(b"")
        await ended(call)

        assert [0] == chains.per_call.codes
        assert call.done()
        assert b"node0" == await call
        assert [0] == chains.per_call.codes


async def test_a_call_that_nobody_holds_goes_on_as_grpcs_own_do():
    async with opened() as (node, chains, channel):
        channel.unary_unary(GET)(b"")
        async with asyncio.timeout(5):
            while not chains.per_call.settled:
                await asyncio.sleep(0.005)

    assert 1 == node.calls
    assert [0] == chains.per_call.codes


async def test_it_is_retried_though_nobody_waits():
    async with opened() as (node, chains, channel):

        async def answer(request, context):
            if node.calls == 1:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "once")
            return b"second"

        node.answer, chains.retry = answer, Again(2, seconds=0.01)
        call = channel.unary_unary(GET)(b"")
        await ended(call)

        assert b"second" == await call
        assert [14, 0] == chains.per_attempt.codes


async def test_it_may_be_awaited_by_several_at_once_and_again():
    async with opened() as (_, chains, channel):
        call = channel.unary_unary(GET)(b"")

        async def wait() -> bytes:
            return await call

        assert [b"node0"] * 3 == list(await asyncio.gather(wait(), wait(), wait()))
        assert b"node0" == await call
        assert [0] == chains.per_call.codes


async def test_cancelling_who_awaits_it_cancels_it():
    async with opened() as (node, chains, channel):
        node.answer = node.hang
        call = channel.unary_unary(GET)(b"")
        waiting = asyncio.ensure_future(_result(call))
        await node.entered.wait()
        waiting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert call.cancelled()
        assert [1] == chains.per_call.codes
        assert grpc.StatusCode.CANCELLED is await call.code()
        async with asyncio.timeout(5):
            await node.cancelled.wait()


async def _result(call) -> bytes:
    return await call


async def test_waiting_for_its_code_may_be_cancelled_without_it():
    async with opened() as (node, _, channel):
        go_on = asyncio.Event()

        async def answer(request, context):
            await go_on.wait()
            return b"late"

        node.answer = answer
        call = channel.unary_unary(GET)(b"")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call.code(), 0.01)
        go_on.set()

        assert b"late" == await call
        assert grpc.StatusCode.OK is await call.code()


async def test_closing_the_channel_ends_a_call_between_two_attempts():
    async with opened() as (node, chains, channel):
        node.answer, chains.retry = node.fail, Again(2, seconds=60.0)
        call = channel.unary_unary(GET)(b"")
        async with asyncio.timeout(5):
            while not chains.per_attempt.settled:
                await asyncio.sleep(0.005)
        await channel.close()

        with pytest.raises(asyncio.CancelledError):
            await call
        assert [1] == chains.per_call.codes


async def test_a_closed_channel_takes_no_calls():
    async with opened() as (_, chains, channel):
        await channel.close()

        with pytest.raises(grpc.aio.UsageError, match="closed"):
            channel.unary_unary(GET)(b"")
        assert [1] == chains.per_call.codes  # admitted, and settled


async def test_a_stage_may_answer_in_the_place_of_a_failure():
    async with opened() as (node, chains, channel):
        node.answer = node.fail
        chains.fallback = Instead(Outcome(0, value=b"canned", answered_by="fallback"))
        method = channel.unary_unary(GET, response_deserializer=bytes.decode)

        assert "canned" == await method(b"")


async def test_each_call_goes_where_it_is_sent():
    """A destination has its own channel and its own chains; who picks sees the method and the metadata."""
    async with running(2) as nodes:
        here, there = (Destination(grpc.aio.insecure_channel(node.address), Chains()) for node in nodes)
        channel = Channel(
            here, pick=lambda method, metadata: there if ("to", "there") in metadata else here, beside=there
        )
        async with channel:
            method = channel.unary_unary(GET)

            assert b"node0" == await method(b"")
            assert b"node1" == await method(b"", metadata=(("to", "there"),))

    assert [0] == here.chains.per_call.codes == there.chains.per_call.codes


async def test_interceptors_of_ones_own_may_change_the_method():
    class Rename(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation, details, request):
            return await continuation(details._replace(method=PUT), request + b"!")

    async with running(1) as [node]:

        async def answer(request, context):
            return request

        node.answer = answer
        async with mesh.channel(node.address, interceptors=[Rename()], using=runtime()) as channel:
            method = channel.unary_unary(
                GET, request_serializer=lambda text: text + b"?", response_deserializer=bytes.decode
            )

            assert "a!?" == await method(b"a", metadata=(("mine", "yes"),))
