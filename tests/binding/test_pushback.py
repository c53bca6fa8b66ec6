"""What a server says about further attempts is obeyed, by retries and by hedging."""

from __future__ import annotations

import asyncio
import time

import grpc
import grpc.aio
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

import mesh

from .node import GET, running, runtime
from .race import POLICIES

RETRY = "defaults: {circuit_breaker: {enabled: false}, retry: {scope: RETRY_SCOPE_ALL}}"


def _retry_info(seconds: int) -> bytes:
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=seconds)))
    return status_pb2.Status(code=14, details=[packed]).SerializeToString()


@pytest.mark.parametrize("policies", [POLICIES, RETRY], ids=["hedge", "retry"])
@pytest.mark.parametrize(
    "wish",
    [
        ("grpc-retry-pushback-ms", "-1"),
        ("grpc-retry-pushback-ms", "later"),
        ("grpc-status-details-bin", _retry_info(-1)),
    ],
    ids=["-1", "unparsable", "RetryInfo"],
)
async def test_a_server_that_asks_for_no_further_attempt_gets_none(policies, wish):
    async def down(request, context):
        await context.abort(grpc.StatusCode.UNAVAILABLE, "down", (wish,))

    async with running(1) as [node], mesh.channel(node.address, using=runtime(policies)) as channel:
        node.answer = down
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary(GET)(b"")
        await asyncio.sleep(0.1)  # longer than the hedging delay

        assert 1 == node.calls


@pytest.mark.parametrize("policies", [POLICIES, RETRY], ids=["hedge", "retry"])
async def test_a_servers_delay_is_kept(policies):
    times = []

    async def once_down(request, context):
        times.append(time.monotonic())
        if len(times) == 1:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "wait", (("grpc-retry-pushback-ms", "150"),))
        return b"done"

    async with running(1) as [node], mesh.channel(node.address, using=runtime(policies)) as channel:
        node.answer = once_down
        assert b"done" == await channel.unary_unary(GET)(b"")

    assert times[1] - times[0] >= 0.145
