"""Clients weigh servers by the load they report, and leave out those that fail, without any Python on the way."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import sys

import grpc
import grpc.aio
import pytest

import mesh
from mesh.stage.load_report import TRAILER

from .node import GET, SERVICE, Node, running, runtime

OFF = "retry: {enabled: false}, circuit_breaker: {enabled: false}"
WEIGHTED = f"defaults: {{{OFF}, connection: {{load_balancing: LOAD_BALANCING_WEIGHTED_ROUND_ROBIN}}}}"


async def counted(channel, calls: int) -> collections.Counter[str]:
    """Who answered; a failed call counts under its status."""
    answers: collections.Counter[str] = collections.Counter()
    for _ in range(calls):
        try:
            answers[(await channel.unary_unary(GET)(b"")).decode()] += 1
        except grpc.aio.AioRpcError as error:
            answers[error.code().name] += 1
    return answers


async def met(channel, names: set[str]) -> None:
    """Wait until the channel has connected to all of them."""
    async with asyncio.timeout(10):
        while names - set(await counted(channel, 2 * len(names))):
            await asyncio.sleep(0.01)


@pytest.mark.slow
async def test_calls_go_by_the_utilisation_that_handlers_report():
    """0.1 and 0.9: the idle one gets four fifths at least."""
    async with (
        running(2) as nodes,
        mesh.channel([node.address for node in nodes], using=runtime(WEIGHTED)) as channel,
    ):

        def busy(node: Node, utilization: float):
            async def answer(request, context):
                mesh.report_load(utilization=utilization, costs={"rows": 1})
                return node.name.encode()

            return answer

        for node, utilization in zip(nodes, (0.9, 0.1), strict=True):
            node.answer = busy(node, utilization)
        await met(channel, {"node0", "node1"})
        # Weights are taken a second after the first report, and then once a second.
        async with asyncio.timeout(15):
            while (await counted(channel, 50))["node1"] < 40:
                await asyncio.sleep(0.1)

        answers = await counted(channel, 300)

    assert answers["node1"] >= 0.8 * 300
    assert answers["node0"] > 0


OUTLIER = (
    "circuit_breaker: {scope: CIRCUIT_BREAKER_SCOPE_ENDPOINT, failure_ratio: 0.5, minimum_calls: 5, "
    "window: %gs, open_for: 30s}"
)


@pytest.mark.slow
async def test_a_failing_server_receives_nothing_after_two_intervals():
    """A circuit for each endpoint, which gRPC's core keeps: the others go on, whoever calls."""
    interval = 0.5
    policies = f"defaults: {{retry: {{enabled: false}}, {OUTLIER % interval}}}"
    async with (
        running(3) as nodes,
        mesh.channel([node.address for node in nodes], using=runtime(policies)) as channel,
    ):
        await met(channel, {"node0", "node1", "node2"})
        nodes[2].answer = nodes[2].fail
        # An interval in which it failed, and was called often enough, ends within two.
        end = asyncio.get_running_loop().time() + 2 * interval
        while asyncio.get_running_loop().time() < end:
            await counted(channel, 15)
        await counted(channel, 15)  # those during which the second interval ended
        before = nodes[2].calls

        answers = await counted(channel, 90)

    assert before == nodes[2].calls
    assert {"node0", "node1"} == set(answers)


@contextlib.asynccontextmanager
async def plain(count: int):
    """Servers without the mesh, which report their load; their addresses."""
    # xds.data.orca.v3.OrcaLoadReport{application_utilization: 0.5, rps_fractional: 100}
    report = bytes.fromhex("49000000000000e03f310000000000005940")

    async def answer(request, context):
        context.set_trailing_metadata(((TRAILER, report),))
        return b""

    handlers = {"Get": grpc.unary_unary_rpc_method_handler(answer)}
    servers, addresses = [], []
    for _ in range(count):
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        addresses.append(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
        await server.start()
        servers.append(server)
    try:
        yield addresses
    finally:
        for server in servers:
            await server.stop(None)


async def test_no_python_picks_a_server():
    """One server or three, weighed and watched: a call runs the same Python functions of the mesh, as often."""
    policies = WEIGHTED.replace("connection: {", "connection: {outlier_detection: {}, ")
    made = []
    for count in (1, 3):
        ran: collections.Counter[str] = collections.Counter()

        def note(frame, event, _, ran=ran):
            file = frame.f_code.co_filename
            if event == "call" and "/mesh/" in file:
                ran[f"{file} {frame.f_code.co_name}"] += 1

        async with plain(count) as addresses, mesh.channel(addresses, using=runtime(policies)) as channel:
            get = channel.unary_unary(GET)
            for _ in range(20):
                await get(b"", wait_for_ready=True)
            sys.setprofile(note)
            try:
                for _ in range(30):
                    await get(b"")
            finally:
                sys.setprofile(None)
        made.append(ran)

    assert made[0] == made[1]
    assert made[0]
