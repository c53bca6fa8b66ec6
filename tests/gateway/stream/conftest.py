"""A backend in the test's own loop, and gateways in front of it: in the same loop, or as a process with real sockets."""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.app import Gateway
from gateway.load import Source, load
from mesh.config.edge import Streaming
from mesh.config.spec import Gateway as Settings
from tests.gateway.server.process import GatewayProcess
from tests.gateway.stream.backend import SERVICE, Backend, write_descriptors


@pytest.fixture(scope="session")
def descriptors(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return write_descriptors(tmp_path_factory.mktemp("news"))


@pytest.fixture
async def backend(descriptors: pathlib.Path) -> AsyncIterator[Backend]:
    backend = Backend(descriptors)
    await backend.start()
    yield backend
    await backend.stop()


@pytest.fixture
async def make(backend: Backend, descriptors: pathlib.Path) -> AsyncIterator[Any]:
    """Make an open gateway with settings of the test's."""
    made: list[Gateway] = []

    async def build(**settings: Any) -> Gateway:
        streaming = Streaming(keepalive=0.1, idle_timeout=0.3)
        chosen = replace(Settings(access_log=False, streaming=streaming), **settings)
        gateway = Gateway(
            await load(Source(backend=backend.address, descriptors=(str(descriptors),), settings=chosen))
        )
        gateway.open()
        made.append(gateway)
        return gateway

    yield build
    for gateway in made:
        await gateway.close()


@pytest.fixture
async def app(make: Any) -> Gateway:
    gateway: Gateway = await make()
    return gateway


@pytest.fixture
def serve(tmp_path: pathlib.Path, backend: Backend, descriptors: pathlib.Path) -> Iterator[Any]:
    """Start a gateway process with lines of settings; it does not outlive the test."""
    started: list[GatewayProcess] = []

    def begin(*lines: str) -> GatewayProcess:
        settings = "".join(f"  {line}\n" for line in lines)
        file = tmp_path / "mesh.yaml"
        file.write_text(
            f"services:\n  - name: news\n    serves: [{SERVICE}]\n"
            f'    endpoints: ["{backend.address}"]\n'
            f"descriptors: [{descriptors}]\ngateway:\n  listen: 127.0.0.1:0\n{settings}"
        )
        started.append(GatewayProcess("gateway", "--config", str(file)))
        return started[-1]

    yield begin
    for process in started:
        process.stop()
