"""A backend process for the module, and gateways in front of it."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.asgi.backend import write_descriptors
from tests.gateway.server.process import ENVIRON, ROOT, GatewayProcess

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="session")
def descriptors(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return write_descriptors(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="session")
def backend_address(descriptors: pathlib.Path) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.gateway.server.backend_process", str(descriptors)],
        cwd=ROOT,
        env=ENVIRON,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


@pytest.fixture
def environment(tmp_path: pathlib.Path, backend_address: str, descriptors: pathlib.Path) -> Any:
    """Write a `mesh.yaml` with settings for the gateway; return its path."""

    def write(**settings: Any) -> str:
        lines = "".join(f"  {name}: {value}\n" for name, value in settings.items())
        file = tmp_path / "mesh.yaml"
        file.write_text(
            f"services:\n  - name: library\n    serves: [library.v1.LibraryService]\n"
            f'    endpoints: ["{backend_address}"]\n'
            f"descriptors: [{descriptors}]\ngateway:\n  listen: 127.0.0.1:0\n{lines}"
        )
        return str(file)

    return write


@pytest.fixture
def start() -> Iterator[Any]:
    """Start gateways that do not outlive the test."""
    started: list[GatewayProcess] = []

    def begin(*arguments: str) -> GatewayProcess:
        started.append(GatewayProcess(*arguments))
        return started[-1]

    yield begin
    for process in started:
        process.stop()
