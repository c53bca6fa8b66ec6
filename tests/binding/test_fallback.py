"""Fallbacks on every way to make a call: the caller gets a message, as if the server had answered."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest
from google.protobuf import message_factory

import mesh
import mesh.sync
from mesh.binding.destination import Destination
from mesh.binding.direct import Direct
from mesh.binding.runtime import Runtime
from mesh.call import Side
from tests.policy.test_table import table
from tests.policy.test_traffic import shop

from .node import GET, PUT, running, runtime

PUSH = "retry: {enabled: false}"
RESPONSE = f"defaults: {{{PUSH}, fallback: {{response: {{name: none}}}}}}"
METHOD = f"defaults: {{{PUSH}, fallback: {{method: Put}}}}"
NOBODY = "127.0.0.1:1"


def described() -> Runtime:
    return Runtime(policies=table(RESPONSE, shop()))


def product_class():
    return message_factory.GetMessageClass(shop().FindMessageTypeByName("shop.v1.Product"))


async def test_a_stub_gets_the_response_of_the_policy():
    async with mesh.channel(NOBODY, using=described()) as channel:
        call = channel.unary_unary(GET, response_deserializer=product_class().FromString)(b"")

        assert "none" == (await call).name
        assert grpc.StatusCode.OK == await call.code()
        assert (("mesh-fallback", "UNAVAILABLE"),) == tuple(await call.trailing_metadata())


async def test_without_a_deserializer_it_gets_bytes():
    async with mesh.channel(NOBODY, using=described()) as channel:
        assert b"\n\x04none" == await channel.unary_unary(GET)(b"")


async def test_on_a_channel_of_ones_own_it_is_a_message():
    mine = mesh.client_interceptors("shop", using=described())
    async with grpc.aio.insecure_channel(NOBODY, interceptors=mine) as channel:
        assert "none" == (await channel.unary_unary(GET)(b"")).name


@pytest.mark.parametrize("calls", ["unary_unary", "stream_unary"])
@pytest.mark.parametrize("blocks", [True, False])
def test_where_it_is_inert_the_caller_gets_the_failure(calls, blocks):
    """Interceptors of plain grpc cannot deserialize a response."""
    mine = mesh.sync.client_interceptors("shop", using=described())
    with grpc.intercept_channel(grpc.insecure_channel(NOBODY), *mine) as channel:
        method = getattr(channel, calls)(GET)
        request = b"" if calls == "unary_unary" else [b""]
        with pytest.raises(grpc.RpcError) as caught:
            method(request) if blocks else method.future(request).result()

    assert grpc.StatusCode.UNAVAILABLE == caught.value.code()


async def test_streams_of_requests_too():
    for mine in (None, mesh.client_interceptors("shop", using=described())):
        channel = (
            mesh.channel(NOBODY, using=described())
            if mine is None
            else grpc.aio.insecure_channel(NOBODY, interceptors=mine)
        )
        async with channel:
            answer = await channel.stream_unary(GET, response_deserializer=product_class().FromString)([b""])

            assert "none" == answer.name


async def test_the_gateways_calls_get_its_bytes():
    using = described()
    async with grpc.aio.insecure_channel(NOBODY) as channel:
        reply = await Direct(Destination(channel, using.chains(Side.CLIENT, "shop"))).reply(GET, b"")

    assert (0, b"\n\x04none") == (reply.outcome.code, reply.outcome.value)
    assert (("mesh-fallback", "UNAVAILABLE"),) == reply.outcome.trailing


@pytest.mark.parametrize("own", [False, True])
async def test_another_method_is_asked(own):
    using = runtime(METHOD)

    async with running(1) as [node]:

        async def answer(request, context):
            if node.calls == 1:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "once")
            return b"from Put"

        node.answer = answer
        mine = mesh.client_interceptors("shop", using=using)
        channel = (
            grpc.aio.insecure_channel(node.address, interceptors=mine)
            if own
            else mesh.channel(node.address, using=using)
        )
        async with channel:
            assert b"from Put" == await channel.unary_unary(GET)(b"")


async def test_a_fallback_that_does_not_fit_fails_the_first_call():
    async with mesh.channel(NOBODY, using=runtime(METHOD)) as channel:
        with pytest.raises(mesh.ConfigError, match=r'fallback\.method: "Put" is the method itself'):
            await channel.unary_unary(PUT)(b"")
