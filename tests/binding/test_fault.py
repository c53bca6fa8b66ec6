"""Injected faults on real channels: what callers see of them is what they would see of a broken network."""

from __future__ import annotations

import time

import grpc
import grpc.aio
import pytest

import mesh

from .node import GET, LIST, running, runtime

ABORT = "defaults: {retry: {enabled: false}, fault: {abort: {code: STATUS_CODE_INTERNAL, details: by hand}}}"
BY_REQUEST = "defaults: {retry: {enabled: false}, fault: {by_request: true}}"


@pytest.fixture(params=["channel", "interceptors"])
def opened(request):
    """Opens a channel that goes through the mesh, one way or the other."""

    def open_channel(address: str, using):
        if request.param == "channel":
            return mesh.channel(address, using=using)
        return grpc.aio.insecure_channel(address, interceptors=mesh.client_interceptors("shop", using=using))

    return open_channel


async def test_an_injected_error_never_reaches_the_server(opened):
    async with running(1) as [node], opened(node.address, runtime(ABORT)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(GET)(b"")

        assert (grpc.StatusCode.INTERNAL, "by hand") == (caught.value.code(), caught.value.details())
        assert 0 == node.calls


async def test_streams_fail_as_well(opened):
    async with running(1) as [node], opened(node.address, runtime(ABORT)) as channel:
        with pytest.raises(grpc.aio.AioRpcError, match="by hand"):
            [message async for message in channel.unary_stream(LIST)(b"")]

        assert 0 == node.calls


async def test_a_request_asks_for_its_own_fault(opened):
    async with running(1) as [node], opened(node.address, runtime(BY_REQUEST)) as channel:
        get = channel.unary_unary(GET)
        began = time.monotonic()

        assert b"node0" == await get(b"", metadata=(("mesh-fault", "delay=0.2s"),))
        assert time.monotonic() - began >= 0.2
        with pytest.raises(grpc.aio.AioRpcError, match="fault injected by mesh-fault"):
            await get(b"", metadata=(("mesh-fault", "abort=ABORTED"),))
        with pytest.raises(grpc.aio.AioRpcError, match='mesh-fault: "dely" is not a fault'):
            await get(b"", metadata=(("mesh-fault", "dely=1s"),))
        assert 1 == node.calls


async def test_a_delay_that_outlasts_the_deadline_ends_at_the_deadline(opened):
    async with running(1) as [node], opened(node.address, runtime(BY_REQUEST)) as channel:
        began = time.monotonic()

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(GET)(b"", timeout=0.1, metadata=(("mesh-fault", "delay=60s"),))

        assert grpc.StatusCode.DEADLINE_EXCEEDED == caught.value.code()
        assert time.monotonic() - began < 30
