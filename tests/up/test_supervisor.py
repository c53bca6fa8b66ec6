"""Environments of real processes: order, crashes, rolling restarts, and nobody left behind."""

import asyncio
import os
import signal

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mesh import config
from mesh.config.address import Address
from mesh.up import StartError, Supervisor, port
from mesh.up.machine import State
from tests.up.conftest import events, survivors

pytestmark = pytest.mark.slow

TWO = """
    services:
      - {name: front, command: [python, server.py], after: [back], stop_timeout: 2s}
      - {name: back, command: [python, server.py], instances: 2, stop_timeout: 2s}
"""


def supervisor(file, **options):
    environment, problems = config.load(file)
    assert not problems
    lines = []
    found = Supervisor(environment, log=lambda name, line: lines.append((name, line)), **options)
    found.lines = lines
    return found


async def eventually(condition, timeout=15.0):
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.02)


async def test_starts_in_order_and_stops_in_reverse(environment):
    async with supervisor(environment(TWO)) as up:
        assert [process.state for process in up.processes] == [State.HEALTHY] * 3
        assert up.config.is_file()

    names = [(what, who.partition(".")[0]) for what, who, _ in events()]
    assert names[:3] == [("start", "back"), ("start", "back"), ("start", "front")]
    assert names[3:] == [("stop", "front"), ("stop", "back"), ("stop", "back")]
    assert survivors() == []
    assert not up.config.exists()


async def test_every_process_knows_who_it_is_and_where_the_others_are(environment):
    async with supervisor(environment(TWO)) as up:
        resolved, problems = config.load(up.config)
        addresses = [process.launch.address for process in up.instances("back")]

        assert not problems
        assert list(resolved.service("back").endpoints) == addresses
        assert ("back.1", f"back.1 listens on {addresses[1]}") in up.lines
        assert ("front", f"front.0 listens on {up.instances('front')[0].launch.address}") in up.lines


async def test_a_crashed_process_is_started_again_at_the_same_address(environment):
    async with supervisor(environment("services: [{name: a, command: [python, server.py]}]")) as up:
        (process,) = up.processes
        os.kill(process.pid, signal.SIGKILL)
        await eventually(lambda: process.machine.restarts == 1 and process.state is State.HEALTHY)

        assert ("a", "[mesh] a ended with SIGKILL") in up.lines
        assert (
            len([line for _, line in up.lines if line.endswith(f"listens on {process.launch.address}")]) == 2
        )
        assert [row.restarts for row in await up.measure()] == [1]
    assert survivors() == []


async def test_what_a_crashed_process_had_started_is_gone_before_it_starts_again(environment):
    async with supervisor(environment("services: [{name: a, command: [python, server.py, fork]}]")) as up:
        (process,) = up.processes
        os.kill(process.pid, signal.SIGKILL)
        await eventually(lambda: process.machine.restarts == 1 and process.state is State.HEALTHY)

        assert len(survivors()) == 2, "only the new process and what it has started"
    assert survivors() == []


async def test_a_process_that_does_not_stop_in_time_is_killed(environment):
    file = environment("services: [{name: a, command: [python, server.py, stubborn], stop_timeout: 0.2s}]")
    async with supervisor(file) as up:
        pass

    assert ("a", "[mesh] a did not stop in time and is killed") in up.lines
    assert survivors() == []


async def test_killing_does_not_wait(environment):
    file = environment("services: [{name: a, command: [python, server.py, stubborn], stop_timeout: 60s}]")
    async with supervisor(file) as up:
        stopping = asyncio.create_task(up.stop())
        await asyncio.sleep(0.1)
        assert not stopping.done()
        up.kill()
        await asyncio.wait_for(stopping, 5)
    assert survivors() == []


@pytest.mark.parametrize(("mode", "condition"), [("crash", "last exit code 3"), ("silent", "(starting)")])
async def test_a_start_that_takes_too_long_is_given_up_and_leaves_nothing(environment, mode, condition):
    file = environment(f"services: [{{name: a, command: [python, server.py, {mode}]}}]")

    with pytest.raises(StartError, match="not healthy after 2 s: a ") as caught:
        async with supervisor(file, timeout=2.0):
            raise AssertionError("it cannot have started")

    assert condition in str(caught.value)
    assert survivors() == []


async def test_a_start_that_is_cancelled_leaves_nothing(environment):
    up = supervisor(environment("services: [{name: a, command: [python, server.py, silent, fork]}]"))
    starting = asyncio.create_task(up.__aenter__())
    await eventually(lambda: len(events()) == 2)
    starting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await starting
    assert survivors() == []


async def test_a_gateway_address_that_is_taken_is_said_before_anything_starts(environment):
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    number = taken.sockets[0].getsockname()[1]
    file = environment(
        f"gateway: {{listen: '127.0.0.1:{number}'}}\nservices: [{{name: a, command: [python, server.py]}}]"
    )

    with pytest.raises(StartError, match="is in use by another program"):
        async with supervisor(file):
            raise AssertionError("it cannot have started")

    taken.close()
    await taken.wait_closed()
    assert events() == []


async def test_waits_for_services_that_run_elsewhere(environment):
    async with supervisor(environment("services: [{name: there, command: [python, server.py]}]")) as there:
        address = there.processes[0].launch.address
        file = environment(
            f"""
            services:
              - {{name: there, endpoints: ["{address}"]}}
              - {{name: here, command: [python, server.py], after: [there]}}
            """
        )
        async with supervisor(file) as here:
            assert [process.launch.label for process in here.processes] == ["here"]
            assert [(row.service, row.instances) for row in await here.measure()] == [
                ("there", 0),
                ("here", 1),
            ]


async def test_a_rolling_restart_fails_no_call(environment):
    """Clients that balance over healthy endpoints see no failure while every instance is replaced."""
    async with supervisor(environment(TWO)) as up:
        addresses = ",".join(str(process.launch.address) for process in up.instances("back"))
        options = [
            (
                "grpc.service_config",
                '{"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":""}}',
            ),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 200),
        ]
        before = {process.pid for process in up.instances("back")}
        done, calls = asyncio.Event(), []
        async with grpc.aio.insecure_channel(f"ipv4:{addresses}", options=options) as channel:
            stub = health_pb2_grpc.HealthStub(channel)

            async def load():
                while not done.is_set():
                    try:
                        await stub.Check(health_pb2.HealthCheckRequest(), timeout=2)
                        calls.append("OK")
                    except grpc.aio.AioRpcError as error:
                        calls.append(f"{error.code().name} {error.details()}")
                    await asyncio.sleep(0.002)

            workers = [asyncio.create_task(load()) for _ in range(4)]
            await up.restart("back", pause=0.5)
            done.set()
            await asyncio.gather(*workers)

        assert set(calls) == {"OK"}
        assert len(calls) > 100
        assert not before & {process.pid for process in up.instances("back")}
        with pytest.raises(KeyError):
            await up.restart("nothing")


def test_ports_are_different_free_and_not_those_of_outgoing_connections():
    import random

    found = port.choose(50, random.Random(1))

    assert len(set(found)) == 50
    assert all(20000 <= address.port < 32768 for address in found)


def test_an_address_in_use_is_not_free():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert not port.is_free(Address("127.0.0.1", taken.getsockname()[1]))
