"""A backend in the test's process, and gateways that are processes of their own."""

from __future__ import annotations

import asyncio
import pathlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.gateway.live.shop import V1, Backend, Client
from tests.gateway.server.process import GatewayProcess


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    backend = Backend()
    await backend.start()
    yield backend
    backend.release.set()
    await backend.stop()


@pytest.fixture
def descriptors(tmp_path: pathlib.Path) -> pathlib.Path:
    file = tmp_path / "shop.binpb"
    file.write_bytes(V1)
    return file


class Running:
    """A gateway that is ready."""

    def __init__(self, process: GatewayProcess, port: int) -> None:
        self.process = process
        self.port = port
        welcome = next(line for line in process.lines if "ready on" in line)
        found = re.search(r"admin: 127\.0\.0\.1:(\d+)", welcome)
        self.client = Client(port)
        self._admin = Client(int(found[1])) if found else None

    async def schemas(self) -> list[dict[str, Any]]:
        """Return what each worker says of its schema."""
        assert self._admin is not None
        _, said = await self._admin.get("/schema")
        return list(said["workers"].values())

    async def status(self, target: str) -> int:
        return (await self.client.get(target))[0]

    def said(self, text: str) -> bool:
        return any(text in line for line in self.process.lines)

    def close(self) -> None:
        self.client.close()
        if self._admin is not None:
            self._admin.close()


@pytest.fixture
async def serve(
    tmp_path: pathlib.Path, backend: Backend, descriptors: pathlib.Path
) -> AsyncIterator[Callable[..., Awaitable[Running]]]:
    """Start a gateway of an environment, or by the arguments given."""
    started: list[Running] = []

    async def begin(*arguments: str, workers: int = 1, breaking: str = "BREAKING_CHANGES_WARN") -> Running:
        if not arguments:
            file = tmp_path / "mesh.yaml"
            file.write_text(
                f"services:\n  - name: shop\n    serves: [t.v1.Books]\n    endpoints: ['{backend.address}']\n"
                f"descriptors: [{descriptors}]\ngateway:\n  listen: 127.0.0.1:0\n  admin_listen: 127.0.0.1:0\n"
                f"  access_log: false\n  workers: {workers}\n"
                f"  schema_updates: {{breaking_changes: {breaking}}}\n"
            )
            arguments = ("gateway", "--config", str(file))
        process = GatewayProcess(*arguments)
        started.append(Running(process, await asyncio.to_thread(lambda: process.port)))
        return started[-1]

    yield begin
    for running in started:
        running.close()
        running.process.stop()
