"""A gateway in front of a real gRPC server, called without a port of its own."""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.app import Gateway
from gateway.load import Source, load
from mesh.config.spec import Gateway as Settings
from mesh.telemetry.telemetry import Telemetry
from tests.gateway.asgi.backend import Backend, write_descriptors

Make = Callable[..., Any]


@pytest.fixture(scope="session")
def descriptors(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return write_descriptors(tmp_path_factory.mktemp("library"))


@pytest.fixture
async def backend(descriptors: pathlib.Path) -> AsyncIterator[Backend]:
    backend = Backend(descriptors)
    await backend.start()
    yield backend
    await backend.stop()


@pytest.fixture
async def make(backend: Backend, descriptors: pathlib.Path) -> AsyncIterator[Make]:
    """Make an open gateway with settings of the test's."""
    made: list[Gateway] = []

    async def build(address: str = "", *, telemetry: Telemetry | None = None, **settings: Any) -> Gateway:
        chosen = replace(Settings(access_log=False), **settings)
        source = Source(backend=address or backend.address, descriptors=(str(descriptors),), settings=chosen)
        gateway = Gateway(await load(source, telemetry))
        gateway.open()
        made.append(gateway)
        return gateway

    yield build
    for gateway in made:
        await gateway.close()


@pytest.fixture
async def app(make: Make) -> Gateway:
    gateway: Gateway = await make()
    return gateway
