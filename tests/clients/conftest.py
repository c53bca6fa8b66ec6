"""Clients that other people wrote, against a gateway and a backend as processes."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from gateway.edge.cors import ALLOW_HEADERS
from tests.gateway.protocol.backend import SERVICE, write_descriptors
from tests.gateway.server.process import ENVIRON, ROOT, GatewayProcess

HERE = pathlib.Path(__file__).parent


def lacking(what: str, command: str) -> None:
    """Skip, loudly; in CI fail, for there everything is installed."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}: .ci/run should have done `{command}`")
    pytest.skip(f"{what}: {command}")


@pytest.fixture(scope="session")
def node() -> str:
    """node, with the packages of package.json installed."""
    found = shutil.which("node")
    if found is None:
        lacking("node is not installed", "apt-get install nodejs npm")
    if not (HERE / "node_modules" / ".package-lock.json").exists():
        lacking("the JavaScript clients are not installed", "make clients")
    return str(found)


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        lacking("chromium is not installed", "apt-get install chromium")
    return str(found)


@pytest.fixture(scope="session")
def descriptors(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return write_descriptors(tmp_path_factory.mktemp("echo"))


class Ports(NamedTuple):
    """Where the gateway is."""

    http: int
    grpc: int


@pytest.fixture(scope="session")
def gateway(descriptors: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    """A gateway for everybody, in front of a backend of its own."""
    backend = subprocess.Popen(
        [sys.executable, "-m", "tests.gateway.protocol.backend_process", str(descriptors)],
        cwd=ROOT,
        env=ENVIRON,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert backend.stdin is not None
    assert backend.stdout is not None
    file = tmp_path_factory.mktemp("gateway") / "mesh.yaml"
    file.write_text(
        f"services:\n  - name: echo\n    serves: [{SERVICE}]\n"
        f'    endpoints: ["{backend.stdout.readline().strip()}"]\n'
        f"descriptors: [{descriptors}]\n"
        "gateway:\n"
        "  listen: 127.0.0.1:0\n"
        "  grpc_listen: 127.0.0.1:0\n"
        '  forward_headers: ["x-demo*"]\n'
        '  return_headers: ["x-lead", "x-trail"]\n'
        f'  cors: {{allow_origins: ["*"], allow_headers: {json.dumps([*ALLOW_HEADERS, "x-demo", "x-demo-bin"])}}}\n'
    )
    process = GatewayProcess("gateway", "--config", str(file))
    try:
        yield Ports(process.port, _grpc_port(process))
    finally:
        process.stop()
        backend.stdin.close()
        backend.wait(20)
        backend.stdout.close()


def _grpc_port(process: GatewayProcess) -> int:
    found = process.wait_for(
        lambda: next(
            (m for line in process.lines if (m := re.search(r"gRPC: 127\.0\.0\.1:(\d+)", line))), None
        )
    )
    return int(found[1])


@pytest.fixture
def run(node: str, descriptors: pathlib.Path) -> Callable[..., Any]:
    """Run a script with the descriptors and further arguments; return the JSON it prints."""

    def script(name: str, *arguments: str) -> Any:
        done = subprocess.run(
            [node, str(HERE / name), str(descriptors), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return script
