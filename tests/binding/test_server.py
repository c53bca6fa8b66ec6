"""A mesh server: health, reflection, a drain that fails no call, and what it refuses to start with."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import time

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

from .node import BUY, GET, LIST, SERVICE, Node, running, runtime, until
from .process import Process

Health = health_pb2.HealthCheckResponse


async def health(channel, service: str = "") -> int:
    stub = health_pb2_grpc.HealthStub(channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status


def plain(node: Node) -> grpc.aio.Channel:
    """A channel without the mesh: it does not turn away from a server by itself."""
    return grpc.aio.insecure_channel(node.address, options=[("grpc.enable_retries", 0)])


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
        hanging = asyncio.ensure_future(_wait(channel.unary_unary(GET)(b"")))
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


# How it drains


async def test_it_says_so_first_then_finishes_what_is_in_flight():
    finish = asyncio.Event()

    async def answer(request, context):
        if request == b"slow":
            await finish.wait()
        return b"done"

    async with running(2, lame_duck=0.5) as nodes, plain(nodes[0]) as channel:
        leaving, staying = nodes
        leaving.answer = answer
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert Health.SERVING == (await watch.read()).status
        slow = asyncio.ensure_future(_wait(channel.unary_unary(BUY)(b"slow")))
        await leaving.entered.wait()
        addresses = [leaving.address, staying.address]
        async with mesh.channel(addresses, using=runtime()) as meshed:
            await _met(meshed, {b"done", b"node1"})

            draining = asyncio.ensure_future(leaving.server.drain())

            assert Health.NOT_SERVING == (await watch.read()).status
            assert not draining.done()
            # Whoever does not listen is still served: this is what the lame duck is for.
            assert b"done" == await channel.unary_unary(BUY)(b"")
            await asyncio.sleep(0.2)
            assert {b"node1"} == {await meshed.unary_unary(BUY)(b"") for _ in range(20)}

            await asyncio.sleep(0.5)
            assert not draining.done()
            finish.set()
            assert b"done" == await slow
            await asyncio.wait_for(draining, 5)


async def test_a_call_that_takes_longer_than_the_grace_is_cancelled():
    async with running(1, grace=0.2) as [node], plain(node) as channel:
        node.answer = node.hang
        hanging = asyncio.ensure_future(_wait(channel.unary_unary(BUY)(b"")))
        await node.entered.wait()
        begun = time.monotonic()

        await node.server.drain()

        assert 0.2 <= time.monotonic() - begun < 5.0
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await hanging
        assert caught.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        await asyncio.wait_for(node.cancelled.wait(), 5)


async def test_watchers_of_health_do_not_hold_up_the_drain():
    async with running(1, grace=60.0) as [node], plain(node) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(3)]
        for watch in watches:
            assert Health.SERVING == (await watch.read()).status

        await asyncio.wait_for(node.server.drain(), 5)

        for watch in watches:
            with pytest.raises(grpc.aio.AioRpcError, match="the server is stopping"):
                await _read_all(watch)


async def test_draining_twice_drains_once():
    async with running(1, lame_duck=0.1) as [node]:
        before = asyncio.all_tasks()
        first, second = (asyncio.ensure_future(node.server.drain()) for _ in range(2))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        drains = [task for task in asyncio.all_tasks() - before - {first, second} if "_drain" in repr(task)]
        await asyncio.gather(first, second)
        await node.server.drain()

        assert 1 == len(drains)
        assert not await node.server.wait_for_termination(1.0)


async def test_a_server_that_was_not_started_has_nothing_to_drain():
    await mesh.server("idle", using=runtime()).drain()
    await mesh.server("idle", using=runtime()).stop()


async def test_stopping_ends_a_drain():
    async with running(1, grace=60.0) as [node], plain(node) as channel:
        node.answer = node.hang
        hanging = asyncio.ensure_future(_wait(channel.unary_unary(BUY)(b"")))
        await node.entered.wait()
        draining = asyncio.ensure_future(node.server.drain())
        await asyncio.sleep(0.1)

        await asyncio.wait_for(node.server.stop(), 5)

        await asyncio.wait_for(node.cancelled.wait(), 5)
        await asyncio.wait({draining, hanging}, timeout=5)
        assert draining.done()
        assert hanging.exception() is not None


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
        hanging = asyncio.ensure_future(_wait(channel.unary_unary(GET)(b"")))
        await until(lambda: node.calls == 4)
        with pytest.raises(grpc.aio.AioRpcError, match=r"/shop\.v1\.Shop/Get has 1 in flight"):
            await channel.unary_unary(GET)(b"")
        hanging.cancel()
    await server.stop(None)


# As a process


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_under_load_ends_it_well(number):
    """Calls go on until it is gone; what it had accepted, it answers."""
    process = await Process.start("one", lame_duck=0.2)
    async with mesh.channel(process.address, using=runtime()) as channel:
        answers = 0

        async def load() -> None:
            nonlocal answers
            with contextlib.suppress(grpc.aio.AioRpcError):  # when it is gone
                while await channel.unary_unary(BUY)(b"", timeout=5):
                    answers += 1

        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(load())
            await until(lambda: answers > 50)
            process.signal(number)

    assert (0, "cut 0") == await process.ended()


@pytest.mark.slow
async def test_a_second_signal_stops_at_once():
    """The grace is 30 s, and a call hangs."""
    process = await Process.start("one", lame_duck=0.1)
    async with grpc.aio.insecure_channel(process.address) as channel:
        assert b"one" == await channel.unary_unary(BUY)(b"")
        hanging = asyncio.ensure_future(_wait(channel.unary_unary(BUY)(b"hang")))
        await asyncio.sleep(0.2)
        process.signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        assert not hanging.done()
        begun = time.monotonic()

        process.signal(signal.SIGTERM)

        assert (0, "cut 1") == await process.ended()
        assert time.monotonic() - begun < 5.0
        assert isinstance((await asyncio.gather(hanging, return_exceptions=True))[0], grpc.aio.AioRpcError)


async def _wait(call):
    return await call


async def _read_all(stream) -> None:
    while await stream.read() is not grpc.aio.EOF:
        pass


async def _met(channel, names: set[bytes]) -> None:
    async with asyncio.timeout(10):
        seen: set[bytes] = set()
        while seen != names:
            seen.add(await channel.unary_unary(BUY)(b"", wait_for_ready=True))
