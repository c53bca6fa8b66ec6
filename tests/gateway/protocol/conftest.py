"""A gateway in front of a server with a method of each arity, called without a port of its own."""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.app import Gateway
from gateway.load import load_environment
from mesh.config import environment as environments
from mesh.config.edge import Compression
from mesh.config.spec import Gateway as Settings
from tests.gateway.protocol.backend import SERVICE, Backend, write_descriptors

Make = Callable[..., Any]


@pytest.fixture(scope="session")
def descriptors(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return write_descriptors(tmp_path_factory.mktemp("echo"))


@pytest.fixture
async def backend(descriptors: pathlib.Path) -> AsyncIterator[Backend]:
    backend = Backend(descriptors)
    await backend.start()
    yield backend
    await backend.stop()


@pytest.fixture
async def make(backend: Backend, descriptors: pathlib.Path, tmp_path: pathlib.Path) -> AsyncIterator[Make]:
    """Make an open gateway with settings of the test's."""
    made: list[Gateway] = []
    file = tmp_path / "mesh.yaml"
    file.write_text(
        f"services:\n  - name: echo\n    serves: [{SERVICE}]\n"
        f'    endpoints: ["{backend.address}"]\ndescriptors: [{descriptors}]\ngateway: {{}}\n'
    )

    async def build(**settings: Any) -> Gateway:
        ours = Settings(
            access_log=False,
            forward_headers=("authorization", "x-*"),
            return_headers=("x-lead*", "x-trail*"),
            compression=Compression(min_bytes=64),
        )
        gateway = Gateway(
            load_environment(environments.require(str(file)), settings=replace(ours, **settings))
        )
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
