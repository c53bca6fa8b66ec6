"""A real server counts real callers: by the certificate they show, by what they send, and tells them when to come back."""

from __future__ import annotations

import contextlib

import grpc
import grpc.aio
import pytest

import mesh
from tests.stage.retry_info import retry_after

from .certificate import Authority
from .node import GET, LIST, SERVICE, Node, running, runtime

OFF = "retry: {enabled: false}, circuit_breaker: {enabled: false}"
LIMIT = f"{{rate_limit: {{limits: [{{per_second: 0.1, burst: 1, key: %s}}]}}, {OFF}}}"


async def allowed(channel, times: int, method: str = GET, **options) -> int:
    """How many of some calls are answered."""
    answered = 0
    for _ in range(times):
        with contextlib.suppress(grpc.aio.AioRpcError):
            await channel.unary_unary(method)(b"", **options)
            answered += 1
    return answered


async def test_certificates_tell_callers_apart():
    """Two clients of one address; two connections of one client are one caller."""
    authority = Authority()
    policies = f"defaults: {LIMIT % 'RATE_KEY_PRINCIPAL'}"
    callers = [
        ("shop", ["spiffe://prod/shop"]),
        ("shop", ["spiffe://prod/shop"]),
        ("shop", ["spiffe://prod/cart"]),
        ("batch", []),
    ]
    node = await Node().start(credentials=authority.server_credentials(), using=runtime(policies))
    answered = []
    for index, (name, uris) in enumerate(callers):
        credentials = authority.channel_credentials(name, uris)
        apart = [("grpc.channel_id", index), ("grpc.use_local_subchannel_pool", 1)]
        async with mesh.channel(
            node.address, credentials=credentials, options=apart, using=runtime()
        ) as channel:
            answered.append(await allowed(channel, 3))
    await node.stop()

    assert [1, 0, 1, 1] == answered


async def test_a_refused_caller_is_told_when_to_come_back():
    policies = f"defaults: {LIMIT % 'RATE_KEY_METADATA, metadata: tenant'}"
    async with (
        running(1, using=runtime(policies)) as [node],
        mesh.channel(node.address, using=runtime(f"defaults: {{{OFF}}}")) as channel,
    ):
        a, b = ({"metadata": (("tenant", tenant),)} for tenant in "ab")
        assert [1, 1] == [await allowed(channel, 2, **a), await allowed(channel, 2, **b)]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(GET)(b"", **a)

    assert grpc.StatusCode.RESOURCE_EXHAUSTED == caught.value.code()
    assert f"/{SERVICE}/Get takes 0.1 calls a second for each tenant, the limit" in caught.value.details()
    assert 8.0 < retry_after(caught.value.trailing_metadata(), caught.value.details()) <= 10.0


async def test_streams_are_refused_before_they_begin():
    async with (
        running(1, using=runtime(f"defaults: {LIMIT % 'RATE_KEY_METHOD'}")) as [node],
        mesh.channel(node.address, using=runtime(f"defaults: {{{OFF}}}")) as channel,
    ):
        assert 3 == len([part async for part in channel.unary_stream(LIST)(b"")])
        with pytest.raises(grpc.aio.AioRpcError, match=r"takes 0\.1 calls a second"):
            async for _ in channel.unary_stream(LIST)(b""):
                pass

    assert 3 == node.calls
