"""The HTTP server that every REST contender runs on: the gateway's own, with the gateway's settings."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.serving import Serving
from gateway.http_server import HttpServer, is_listening
from gateway.reservation import reserve
from mesh.config.address import Address


async def serve(app: Any) -> Serving:
    """Serve an ASGI application on a free port until the process ends."""
    held = reserve(Address("127.0.0.1", 0))
    # Not a second place that says how granian is set up: the comparison is only fair with the very same.
    server = HttpServer(app, held.socket)
    serving = asyncio.ensure_future(server.serve())
    while not is_listening(held.socket):  # noqa: ASYNC110 - granian does not say when it listens
        await asyncio.sleep(0.01)
    return Serving(str(held.address), (held, server, serving))
