"""Any ASGI server can host the gateway, lifespan included."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest
import uvicorn

from gateway.app import Gateway
from gateway.load import Source, load

pytestmark = pytest.mark.slow


async def test_uvicorn(environment):
    gateway = Gateway(await load(Source(config=environment(access_log="false"))))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(gateway, log_level="error", lifespan="on"))
    # Not `serve`, which would take over the signal handlers of the test run.
    serving = asyncio.create_task(server._serve([listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.get("/v1/books/a%2Fb")).json()["id"] == "a/b"
        assert (await client.post("/v1/books", json={"pages": "many"})).status_code == 400
    server.should_exit = True
    await serving
    assert gateway.draining
