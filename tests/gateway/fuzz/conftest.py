"""A gateway as a process, in front of a server that gives back what it is given."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from tests.gateway.fuzz.backend import SERVICE, start, write_descriptors
from tests.gateway.server.process import GatewayProcess


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: pathlib.Path = tmp_path_factory.mktemp("things")
    descriptors = write_descriptors(folder)
    server, address = start(descriptors)
    file = folder / "mesh.yaml"
    file.write_text(
        f'services:\n  - name: things\n    serves: [{SERVICE}]\n    endpoints: ["{address}"]\n'
        f"descriptors: [{descriptors}]\ngateway:\n  listen: 127.0.0.1:0\n  access_log: false\n"
    )
    gateway = GatewayProcess("gateway", "--config", str(file))
    try:
        yield f"http://127.0.0.1:{gateway.port}"
    finally:
        gateway.stop()
        server.stop(None).wait()
