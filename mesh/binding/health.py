"""grpc.health.v1 for a server that drains: watchers are told NOT_SERVING, then let go so that they hold nothing up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2


class Health(health.aio.HealthServicer):  # type: ignore[misc]  # the package is untyped
    """The reference servicer, whose watches end when the server stops: `server.stop` waits for every open call."""

    def __init__(self) -> None:
        super().__init__()
        self._closing = asyncio.Event()

    async def open(self, services: Iterable[str]) -> None:
        """Answer SERVING for the server and for each of its services."""
        for service in ("", *services):
            await self.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def refuse(self) -> None:
        """Answer NOT_SERVING for everything, to watchers at once."""
        await self.enter_graceful_shutdown()

    def close(self) -> None:
        """End all watches."""
        self._closing.set()

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:  # noqa: N802 - grpc's name
        watch = asyncio.ensure_future(super().Watch(request, context))
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({watch, closing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            watch.cancel()
            closing.cancel()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the server is stopping")

    def __repr__(self) -> str:
        return f"<Health {'closed' if self._closing.is_set() else 'open'}>"
