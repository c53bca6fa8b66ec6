"""The processes of the benchmark, as they really run."""

import asyncio
import json
import subprocess
import sys

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bench import process, stubs
from bench.process import ChildError

pytestmark = pytest.mark.slow


@pytest.fixture
async def backend():
    await asyncio.to_thread(stubs.make)
    child = await process.start("backend", "bench.backend")
    yield child
    await child.end()


async def test_the_backend_answers_real_grpc_clients(backend):
    async with grpc.aio.insecure_channel(backend.said["OrderService"]) as channel:
        invoke = channel.unary_unary("/store.v1.OrderService/PlaceOrder")
        # More than the 64 KiB that a connection allows without an update.
        answers = await asyncio.gather(*(invoke(b"x" * 200, timeout=10) for _ in range(500)))
        assert len(set(answers)) == 1
        assert b"Ada Lovelace" in answers[0]


async def test_the_backend_is_healthy_to_whoever_watches(backend):
    async with grpc.aio.insecure_channel(backend.said["OrderService"]) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=10)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()


async def test_what_goes_wrong_in_a_child_is_said_in_one_line(backend):
    with pytest.raises(ChildError, match=r"^backend: TypeError: .*mark"):
        await backend.do("mark", nonsense=1)


async def test_a_child_that_cannot_start_is_reported():
    with pytest.raises(ChildError, match=r"^nobody: ended with exit code 1"):
        await process.start("nobody", "bench.contender", "no_such_contender", "{}")


def test_a_short_run_reports_every_contender_and_budget(tmp_path):
    out = tmp_path / "out.json"
    command = ["-m", "bench", "--only", "grpc", "--only", "rest", "--rounds", "1", "--seconds", "0.1"]
    done = subprocess.run(
        [sys.executable, *command, "--json", str(out)],
        cwd=stubs.ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    assert {row["contender"] for row in report["rows"]} >= {"client_mesh", "server_mesh", "rest_gateway"}
    assert {row["load"] for row in report["rows"]} == {"32 in flight", "500/s"}
    assert all(row["cpu"] > 0 for row in report["rows"])
    assert {each["title"] for each in report["budgets"]} == {
        "client chain",
        "server chain",
        "gateway, one RPC",
    }
    assert "budgets" in done.stdout


def test_a_wrong_number_is_refused():
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--rate", "0"], cwd=stubs.ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "--rate: 0 is not more than 0" in done.stderr


def test_the_price_list_of_telemetry_can_be_printed():
    """It drives the stages by hand, and so breaks when what they are built from changes."""
    printed = subprocess.run(
        [sys.executable, "-m", "bench.telemetry"], capture_output=True, text=True, check=True, timeout=100
    ).stdout

    assert "access_log" in printed
