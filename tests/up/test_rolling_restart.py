"""A rolling restart of a real service under real load: REST through the gateway, the mesh's client and server."""

import asyncio
import collections
import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mesh import config
from mesh.config import Address
from mesh.up import Supervisor, http

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

BOUTIQUE = Path(__file__).parents[2] / "examples/boutique"


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The boutique in a folder of its own, generated there, on a free port."""
    folder = tmp_path_factory.mktemp("shop") / "boutique"
    shutil.copytree(BOUTIQUE, folder, ignore=shutil.ignore_patterns("boutique.binpb", ".*", "__pycache__"))
    shutil.rmtree(folder / "boutique", ignore_errors=True)
    # A process of its own: in this one another test may have put its boutique on the import path.
    made = [sys.executable, "-m", "mesh", "generate", "protos", "--descriptors", "boutique.binpb"]
    subprocess.run(made, cwd=folder, check=True)
    environment, problems = config.load(folder / "mesh.yaml")
    assert not problems
    gateway = dataclasses.replace(environment.gateway, listen=Address("127.0.0.1", 0))
    return dataclasses.replace(environment, gateway=gateway)


async def test_no_request_fails_while_every_instance_is_replaced(environment):
    lines = []
    async with Supervisor(environment, log=lambda *line: lines.append(line)) as up:
        before = {process.pid for process in up.instances("catalog")}
        answers, done = collections.Counter(), asyncio.Event()

        async def load():
            while not done.is_set():
                answer = await http.get(up.gateway, "/v1/products/brass-compass", timeout=5.0)
                answers[answer and answer.status] += 1
                await asyncio.sleep(0.005)

        workers = [asyncio.create_task(load()) for _ in range(4)]
        await up.restart("catalog", pause=1.0)
        done.set()
        await asyncio.gather(*workers)

        assert set(answers) == {200}, lines[-20:]
        assert answers[200] > 200
        assert not before & {process.pid for process in up.instances("catalog")}
        rows = {row.service: row for row in await up.measure()}
        assert (rows["catalog"].healthy, rows["catalog"].restarts) == (2, 2)


async def test_the_gateway_starts_last_and_its_requests_are_measured(environment):
    async with Supervisor(environment, log=lambda *_: None) as up:
        assert [process.launch.service for process in up.processes][-1] == "gateway"
        await up.measure()
        for _ in range(10):
            assert (await http.get(up.gateway, "/v1/products/brass-compass", timeout=5.0)).status == 200
        rows = {row.service: row for row in await up.measure()}

        for name in ("catalog", "gateway"):
            assert rows[name].rate > 0
            assert rows[name].success == 1.0
            assert 0 < rows[name].p50 <= rows[name].p99
