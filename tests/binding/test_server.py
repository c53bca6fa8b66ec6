"""A mesh server: health, reflection, its handlers, and what it refuses to start with."""

from __future__ import annotations

import asyncio
import functools

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import mesh
from mesh.binding.runtime import Runtime
from mesh.errors import ConfigError
from mesh.policy.table import PolicyTable
from mesh.v1 import policy_pb2
from tests.policy.test_table import described

from .node import GET, LIST, SERVICE, Node, ended, plain, running, runtime, until

Health = health_pb2.HealthCheckResponse


async def health(channel, service: str = "") -> int:
    stub = health_pb2_grpc.HealthStub(channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status


# What it adds to a server


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_it_answers_for_itself_and_each_service(service):
    async with running(1) as [node], plain(node) as channel:
        assert Health.SERVING == await health(channel, service)


async def test_health_of_a_service_it_does_not_have():
    async with running(1) as [node], plain(node) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health(channel, "else.Where")

    assert grpc.StatusCode.NOT_FOUND == caught.value.code()


async def services(channel) -> set[str]:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async for answer in stub.ServerReflectionInfo(iter([request])):
        return {service.name for service in answer.list_services_response.service}
    return set()


async def test_reflection_lists_its_services():
    async with running(1) as [node], plain(node) as channel:
        assert {
            SERVICE,
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        } == await services(channel)


async def test_reflection_can_be_left_out():
    async with running(1, reflection=False) as [node], plain(node) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await services(channel)

    assert grpc.StatusCode.UNIMPLEMENTED == caught.value.code()


async def test_health_is_answered_when_limits_are_reached():
    using = runtime("defaults: {server_concurrency: {max_in_flight: 1}}")
    async with running(1, using=using) as [node], plain(node) as channel:
        node.answer = node.hang
        hanging = asyncio.ensure_future(ended(channel.unary_unary(GET)(b"")))
        await node.entered.wait()

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(GET)(b"")
        assert grpc.StatusCode.RESOURCE_EXHAUSTED == caught.value.code()
        assert Health.SERVING == await health(channel)
        hanging.cancel()


class Context:
    """What a handler is given. gRPC's core takes load reports for itself, so a real client cannot show them."""

    def __init__(self) -> None:
        self.trailing: tuple = ()
        self.status: grpc.StatusCode | None = None

    def time_remaining(self):
        return None

    def invocation_metadata(self):
        return ()

    def peer(self):
        return "ipv4:127.0.0.1:1"

    def auth_context(self):
        return {}

    def code(self):
        return self.status

    def details(self):
        return ""

    def trailing_metadata(self):
        return self.trailing

    def set_trailing_metadata(self, metadata):
        self.trailing = metadata

    async def abort(self, code, details, trailing=()):
        self.status, self.trailing = code, tuple(trailing)
        raise RuntimeError("aborted")


@pytest.mark.parametrize("how", ["answered", "bug", "refused"])
async def test_an_answer_carries_the_load_beside_the_handlers_own_trailers(how):
    """A client that balances by weight must hear of the load of a server that fails or sheds it, too."""

    async def answer(request, context):
        context.set_trailing_metadata((("mine", "yes"),))
        if how == "bug":
            raise RuntimeError("a bug")
        return b"answer"

    policies = "defaults: {deadline: {max_timeout: 0.001s}}" if how == "refused" else ""
    [interceptor] = mesh.server_interceptors("shop", using=runtime(policies))

    async def continuation(details):
        return grpc.unary_unary_rpc_method_handler(answer)

    if how == "refused":

        async def answer(request, context):  # cut off by the server's own limit
            await asyncio.Event().wait()

    class Details:
        method = GET

    context = Context()
    handler = await interceptor.intercept_service(continuation, Details)
    if how == "answered":
        assert b"answer" == await handler.unary_unary(b"", context)
    else:
        with pytest.raises(RuntimeError):
            await handler.unary_unary(b"", context)

    sent = dict(context.trailing)
    assert "endpoint-load-metrics-bin" in sent
    assert ("mine" in sent) == (how != "refused")


# What it refuses to start with


async def test_a_port_that_is_taken():
    async with running(1) as [node]:
        with pytest.raises(ConfigError) as caught:
            await Node().start(listen=node.address)

    assert str(caught.value).startswith(f'cannot listen on "{node.address}": ')


async def test_annotations_that_are_wrong():
    """All of them, with the method in front."""
    pool = described(
        Get=policy_pb2.Policy(retry={"max_attempts": 99}),
        Buy=policy_pb2.Policy(server_concurrency={"max_in_flight": 0}),
    )

    with pytest.raises(ConfigError) as caught:
        await Node().start(using=Runtime(policies=PolicyTable(pool=pool)))

    assert [
        '/shop.v1.Shop/Buy.server_concurrency.max_in_flight: "0" is out of range, must be at least 1',
        '/shop.v1.Shop/Get.retry.max_attempts: "99" is out of range, must be 2 to 10',
    ] == sorted(str(problem) for problem in caught.value.problems)


async def test_it_listens_where_mesh_up_says(monkeypatch):
    async with running(1) as [node]:
        monkeypatch.setenv("MESH_LISTEN", node.address)
        with pytest.raises(ConfigError):  # the port is taken: so it was asked for
            await Node().start(listen=None)


# Handlers


async def answered(behaviour) -> bytes:
    server = mesh.server("one", listen="127.0.0.1:0", using=runtime())
    handlers = {"Get": grpc.unary_unary_rpc_method_handler(behaviour)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    address = await server.start()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            return await channel.unary_unary(GET)(b"")
    finally:
        await server.stop()


async def _given(prefix, request, context):
    return prefix


class Callable:
    async def __call__(self, request, context):
        return b"object"


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (functools.partial(_given, b"partial"), b"partial"),
        (functools.partial(functools.partial(_given), b"twice"), b"twice"),
        (Callable(), b"object"),
        (Callable().__call__, b"object"),
    ],
    ids=["partial", "partial of a partial", "object", "method"],
)
async def test_whatever_can_be_awaited_is_a_handler(behaviour, expected):
    assert expected == await answered(behaviour)


async def test_a_plain_function_is_refused_with_words():
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await answered(lambda request, context: b"")

    assert grpc.StatusCode.UNIMPLEMENTED == caught.value.code()
    assert "the handler is a plain function; a grpc.aio server needs `async def`" == caught.value.details()


async def test_interceptors_for_a_server_of_ones_own():
    node = Node("own")
    using = runtime("defaults: {server_concurrency: {max_in_flight: 1}}")
    server = grpc.aio.server(interceptors=mesh.server_interceptors("shop", using=using))
    node.add_to(server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    async with grpc.aio.insecure_channel(address) as channel:
        assert [b"own"] * 3 == [part async for part in channel.unary_stream(LIST)(b"")]
        node.answer = node.hang
        hanging = asyncio.ensure_future(ended(channel.unary_unary(GET)(b"")))
        await until(lambda: node.calls == 4)
        with pytest.raises(grpc.aio.AioRpcError, match=r"/shop\.v1\.Shop/Get has 1 in flight"):
            await channel.unary_unary(GET)(b"")
        hanging.cancel()
    await server.stop(None)
