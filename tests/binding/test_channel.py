"""Channels to real servers: where calls go, who is left out, and how a connection comes back."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import time

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2

import mesh
from mesh.binding.construction import OPTIONS
from mesh.binding.runtime import Runtime
from mesh.call import Side
from mesh.chain import Chains
from mesh.config import environment
from mesh.policy.connection import ConnectionPolicy, KeepalivePolicy
from mesh.policy.problem import Problems
from mesh.v1 import policy_pb2

from .node import BUY, GET, LIST, Node, running, runtime, until

RETRY_OFF = "retry: {enabled: false}, circuit_breaker: {enabled: false}"


async def call(channel, method: str = GET, **options) -> str:
    return (await channel.unary_unary(method)(b"", **options)).decode()


async def counted(channel, calls: int) -> collections.Counter[str]:
    """Who answered; a failed call counts under its status."""
    answers: collections.Counter[str] = collections.Counter()
    for _ in range(calls):
        try:
            answers[await call(channel)] += 1
        except grpc.aio.AioRpcError as error:
            answers[error.code().name] += 1
    return answers


async def met(channel, nodes: list[Node]) -> None:
    """Wait until the channel has connected to all of them."""
    async with asyncio.timeout(10):
        seen: set[str] = set()
        while len(seen) < len(nodes):
            seen.add(await call(channel, wait_for_ready=True))


async def test_a_list_of_addresses_is_called_in_turn():
    async with (
        running(3) as nodes,
        mesh.channel([node.address for node in nodes], using=runtime()) as channel,
    ):
        await met(channel, nodes)

        assert {"node0": 10, "node1": 10, "node2": 10} == await counted(channel, 30)


async def test_one_address():
    async with running(1) as [node], mesh.channel(node.address, using=runtime()) as channel:
        assert "node0" == await call(channel)


async def test_a_name_for_dns():
    async with running(1) as [node]:
        port = node.address.rpartition(":")[2]
        async with mesh.channel(f"dns:///localhost:{port}", using=runtime()) as channel:
            assert "node0" == await call(channel)


async def test_a_unix_socket(tmp_path):
    node = await Node("unix").start(listen=f"unix:{tmp_path}/mesh.sock")
    async with mesh.channel(node.address, using=runtime()) as channel:
        assert "unix" == await call(channel)
    await node.stop()


async def test_a_name_of_the_environment_with_its_policies(tmp_path):
    async with running(2) as nodes:
        addresses = ", ".join(f'"{node.address}"' for node in nodes)
        file = tmp_path / "mesh.yaml"
        file.write_text(
            f"services: [{{name: shop, serves: [shop.v1.Shop], endpoints: [{addresses}]}}]\n"
            "policies: {defaults: {client_concurrency: {max_in_flight: 1}}}\n"
        )
        known, diagnostics = environment.load(file)
        assert known is not None, diagnostics
        async with mesh.channel("shop", using=Runtime(known)) as channel:
            await met(channel, nodes)
            for node in nodes:
                node.answer = node.hang
                node.entered.clear()
            hanging = asyncio.ensure_future(call(channel, BUY))
            await until(lambda: any(node.entered.is_set() for node in nodes))

            with pytest.raises(grpc.aio.AioRpcError, match=r"/shop\.v1\.Shop/Buy has 1 in flight"):
                await call(channel, BUY)

            hanging.cancel()


async def test_interceptors_of_ones_own_see_a_call_once_however_often_it_is_tried():
    class Counting(grpc.aio.UnaryUnaryClientInterceptor):
        calls = 0

        async def intercept_unary_unary(self, continuation, details, request):
            self.calls += 1
            return await continuation(details, request)

    counting = Counting()
    async with running(1) as [node]:

        async def answer(request, context):
            if node.calls == 1:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "once")
            return b"second"

        node.answer = answer
        async with mesh.channel(node.address, interceptors=[counting], using=runtime()) as channel:
            assert "second" == await call(channel)

    assert 2 == node.calls
    assert 1 == counting.calls


async def test_client_interceptors_for_a_channel_of_ones_own():
    async with running(1) as [node]:

        async def answer(request, context):
            if node.calls == 1:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "once")
            return b"second"

        node.answer = answer
        mine = mesh.client_interceptors("shop", using=runtime())
        async with grpc.aio.insecure_channel(node.address, interceptors=mine) as channel:
            assert "second" == await call(channel)
            assert [b"second"] * 3 == [part async for part in channel.unary_stream(LIST)(b"")]


# Who is left out


async def test_a_node_that_is_not_serving_gets_no_calls():
    async with (
        running(3) as nodes,
        mesh.channel([node.address for node in nodes], using=runtime()) as channel,
    ):
        await met(channel, nodes)
        await nodes[1].server._health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        await _until_left_out(channel, "node1")

        assert {"node0", "node2"} == set(await counted(channel, 30))

        await nodes[1].server._health.set("", health_pb2.HealthCheckResponse.SERVING)
        await met(channel, nodes)


async def test_health_is_asked_for_the_service_the_policy_names():
    policies = "defaults: {connection: {health_check: {service_name: shop.v1.Shop}}}"
    async with (
        running(2) as nodes,
        mesh.channel([node.address for node in nodes], using=runtime(policies)) as channel,
    ):
        await met(channel, nodes)
        await nodes[0].server._health.set("shop.v1.Shop", health_pb2.HealthCheckResponse.NOT_SERVING)
        await _until_left_out(channel, "node0")

        assert {"node1"} == set(await counted(channel, 20))


async def test_a_node_that_fails_more_than_the_others_is_ejected():
    outlier = "{interval: 0.3s, base_ejection_time: 30s, request_volume: 5, failure_percent: 50}"
    policies = f"defaults: {{{RETRY_OFF}, connection: {{outlier_detection: {outlier}}}}}"
    async with (
        running(3) as nodes,
        mesh.channel([node.address for node in nodes], using=runtime(policies)) as channel,
    ):
        await met(channel, nodes)
        nodes[2].answer = nodes[2].fail

        async with asyncio.timeout(15):
            while "INTERNAL" in await counted(channel, 30):
                await asyncio.sleep(0.05)

        before = nodes[2].calls
        assert "INTERNAL" not in await counted(channel, 60)
        assert before == nodes[2].calls


class Busy(Runtime):
    """A process that says it uses this share of a core."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self._share = share

    def chains(self, side: Side, target: str, **_: object) -> Chains:
        return Chains(
            self.policies,
            side=side,
            target=target,
            telemetry=self.telemetry,
            state=self.state,
            cpu=lambda: self._share * time.monotonic(),
        )


@pytest.mark.slow
async def test_calls_go_by_the_load_that_nodes_report():
    """node0 is ten times busier for the same calls, so it gets a tenth; a third is margin for a noisy machine."""
    policies = "defaults: {connection: {load_balancing: LOAD_BALANCING_WEIGHTED_ROUND_ROBIN}}"
    nodes = [await Node(f"node{index}").start(using=Busy(share)) for index, share in enumerate((0.9, 0.09))]
    async with mesh.channel([node.address for node in nodes], using=runtime(policies)) as channel:
        await met(channel, nodes)
        for _ in range(40):  # weights are taken a second after the first report, and then once a second
            answers = await counted(channel, 50)
            if answers["node0"] * 3 <= answers["node1"]:
                break
            await asyncio.sleep(0.1)

        answers = await counted(channel, 200)

    for node in nodes:
        await node.stop()
    assert answers["node0"] * 3 <= answers["node1"]
    assert answers["node0"] > 0


async def _until_left_out(channel, name: str) -> None:
    async with asyncio.timeout(10):
        while name in await counted(channel, 10):
            await asyncio.sleep(0.01)


# Connections


async def test_a_node_that_comes_back_on_its_port_is_called_again():
    node = await Node("first").start()
    async with mesh.channel(node.address, using=runtime(f"defaults: {{{RETRY_OFF}}}")) as channel:
        assert "first" == await call(channel)
        await node.stop()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel)
        assert grpc.StatusCode.UNAVAILABLE == caught.value.code()

        second = await Node("second").start(listen=node.address)
        begun = time.monotonic()
        async with asyncio.timeout(10):
            while "second" not in await counted(channel, 1):
                await asyncio.sleep(0.01)
        await second.stop()

    assert time.monotonic() - begun < 5.0  # the policy's longest wait


async def test_a_connection_may_take_longer_than_the_first_backoff():
    """The handshake takes three round trips of 0.2 s; the first backoff is 0.1 s."""
    node = await Node("distant").start()
    host, _, port = node.address.rpartition(":")
    connections = 0
    pipes: set[asyncio.Task[None]] = set()

    async def late(reader, writer):
        while data := await reader.read(65536):
            await asyncio.sleep(0.1)
            writer.write(data)

    async def accept(reader, writer):
        nonlocal connections
        connections += 1
        onward = await asyncio.open_connection(host, int(port))
        pipes.add(asyncio.ensure_future(late(reader, onward[1])))
        pipes.add(asyncio.ensure_future(late(onward[0], writer)))

    proxy = await asyncio.start_server(accept, "127.0.0.1", 0)
    address = f"127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    async with mesh.channel(address, using=runtime(f"defaults: {{{RETRY_OFF}}}")) as channel:
        assert "distant" == await call(channel)

    for pipe in pipes:
        pipe.cancel()
    proxy.close()
    await node.stop()
    assert 1 == connections


def test_servers_allow_the_pings_that_policies_allow():
    """A policy may ask for a ping every 10 s; `Keepalive.read` refuses less."""
    least = KeepalivePolicy.read(policy_pb2.Keepalive(interval={"seconds": 10}), at := Problems())
    allowed = dict(OPTIONS)["grpc.http2.min_ping_interval_without_data_ms"]

    assert not at
    assert least is not None
    assert allowed < least.interval * 1000 <= ConnectionPolicy().keepalive.interval * 1000


@pytest.mark.slow
async def test_pings_as_often_as_the_server_allows_do_not_hang_up():
    """The same a hundred times faster; the second server shows that it takes the option for this."""
    pings = [("grpc.keepalive_time_ms", 100), ("grpc.http2.max_pings_without_data", 0)]
    waiting = []
    async with contextlib.AsyncExitStack() as stack:
        for least in (90, 60_000):
            node = Node()
            node.answer = node.hang
            await node.start(options=[("grpc.http2.min_ping_interval_without_data_ms", least)])
            stack.push_async_callback(node.stop)
            channel = mesh.channel(node.address, using=runtime(), options=pings)
            waiting.append(asyncio.ensure_future(call(await stack.enter_async_context(channel), BUY)))

        await asyncio.wait(waiting, timeout=14, return_when=asyncio.FIRST_COMPLETED)

        allowed, refused = waiting
        assert not allowed.done()
        assert "Too many pings" in refused.exception().details()
        allowed.cancel()


async def test_options_win_over_the_policys():
    limit = [("grpc.max_receive_message_length", 3)]
    async with running(1) as [node], mesh.channel(node.address, using=runtime(), options=limit) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel)

    assert grpc.StatusCode.RESOURCE_EXHAUSTED == caught.value.code()
