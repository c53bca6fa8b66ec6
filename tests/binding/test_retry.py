"""Retries against real servers: attempts with a time of their own, requests with a key, and what servers are told."""

from __future__ import annotations

import asyncio
import time

import grpc
import grpc.aio
import pytest

import mesh

from .node import BUY, GET, LIST, running, runtime

PREVIOUS = "grpc-previous-rpc-attempts"
SOON = "backoff: {base: 0.001s}, budget: {min_per_second: 1000}"


def told(node):
    """Note what each call says about the attempts before it."""
    sent: list[list[str]] = []
    answer = node.answer

    async def note(request, context):
        metadata = context.invocation_metadata()
        sent.append([value for key, value in metadata if key == PREVIOUS])
        return await answer(request, context)

    node.answer = note
    return sent


def fails(node, times: int):
    """Fail this often before answering."""

    async def answer(request, context):
        if node.calls <= times:
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"attempt {node.calls}")
        return b"done"

    node.answer = answer


@pytest.mark.parametrize("metadata", [(), ((PREVIOUS, "7"),), grpc.aio.Metadata((PREVIOUS, "7"))], ids=str)
async def test_servers_are_told_how_many_attempts_came_before(metadata):
    """gRFC A6: not on the first attempt, then 1, then 2; what an application says about it is not believed."""
    policies = f"defaults: {{retry: {{{SOON}}}}}"
    async with running(1) as [node], mesh.channel(node.address, using=runtime(policies)) as channel:
        fails(node, 2)
        sent = told(node)

        assert b"done" == await channel.unary_unary(GET)(b"", metadata=metadata)

    assert [[], ["1"], ["2"]] == sent


async def test_an_attempt_that_takes_too_long_is_given_up_for_another():
    policies = f"defaults: {{retry: {{attempt_timeout: 0.15s, {SOON}}}, circuit_breaker: {{enabled: false}}}}"
    async with running(1) as [node], mesh.channel(node.address, using=runtime(policies)) as channel:

        async def answer(request, context):
            return await (node.hang if node.calls == 1 else node.greet)(request, context)

        node.answer = answer
        assert b"node0" == await channel.unary_unary(GET)(b"", timeout=5)
        await asyncio.wait_for(node.cancelled.wait(), 5)


async def test_a_stream_is_not_cut_off_by_the_time_of_an_attempt():
    """gRPC would end it however much of it has come."""
    policies = f"defaults: {{retry: {{attempt_timeout: 0.1s, scope: RETRY_SCOPE_ALL, {SOON}}}}}"
    async with running(1) as [node], mesh.channel(node.address, using=runtime(policies)) as channel:

        async def answer(request, context):
            await asyncio.sleep(0.06)
            return b"part"

        node.answer = answer
        assert [b"part"] * 3 == [part async for part in channel.unary_stream(LIST)(b"", timeout=5)]


async def test_all_attempts_together_get_no_more_time_than_the_call():
    policies = f"defaults: {{retry: {{attempt_timeout: 0.2s, max_attempts: 9, {SOON}}}, circuit_breaker: {{enabled: false}}}}"
    async with running(1) as [node], mesh.channel(node.address, using=runtime(policies)) as channel:
        node.answer = node.hang
        begun = time.monotonic()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(GET)(b"", timeout=0.5)
        took = time.monotonic() - begun

    assert grpc.StatusCode.DEADLINE_EXCEEDED == caught.value.code()
    assert 0.35 < took < 0.75
    assert 2 <= node.calls <= 3


@pytest.mark.parametrize(
    ("policy", "metadata", "code"),
    [
        ("{}", (("idempotency-key", "order-17"),), "OK"),
        ("{}", (), "UNAVAILABLE"),
        ("{idempotency_key: false}", (("idempotency-key", "order-17"),), "UNAVAILABLE"),
        ("{scope: RETRY_SCOPE_ALL}", (), "OK"),
    ],
)
async def test_a_request_with_a_key_is_retried_whatever_its_proto_says(policy, metadata, code):
    using = runtime(f"defaults: {{retry: {policy}}}")
    async with running(1) as [node], mesh.channel(node.address, using=using) as channel:
        fails(node, 1)
        call = channel.unary_unary(BUY)(b"", metadata=metadata)

        assert code == (await call.code()).name


async def test_no_attempt_is_made_that_could_not_end():
    """400 ms for the call, 150 ms for the failure, 100 ms of wait: what is left is less than an attempt needs."""
    policies = (
        "defaults: {deadline: {min_attempt_time: 0.2s}, retry: {backoff: {base: 0.1s, jitter: JITTER_NONE}}}"
    )
    async with running(1) as [node], mesh.channel(node.address, using=runtime(policies)) as channel:

        async def answer(request, context):
            await asyncio.sleep(0.15)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "down")

        node.answer = answer
        with pytest.raises(grpc.aio.AioRpcError, match="down"):
            await channel.unary_unary(GET)(b"", timeout=0.4)
        assert 1 == node.calls

        with pytest.raises(grpc.aio.AioRpcError, match="no time is left"):
            await channel.unary_unary(GET)(b"", timeout=0.1)
        assert 1 == node.calls
