"""The admin pages on ports of their own, in the process that supervises, or serves alone."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from gateway.admin.page import Desk, Pages
from gateway.http_server import HttpServer
from gateway.reservation import Reservation

METRICS_ONLY = frozenset({"/metrics"})


class AdminPorts:
    """What is served for operators, while it is entered."""

    def __init__(self, desk: Desk, admin: Reservation | None, metrics: Reservation | None = None) -> None:
        """Serve every page on one socket, the metrics alone on another; either may be missing."""
        chosen = ((admin, None), (metrics, METRICS_ONLY))
        self._servers = [
            HttpServer(Pages(desk, only), held.socket) for held, only in chosen if held is not None
        ]
        self._ended: list[asyncio.Future[Any]] = []

    async def __aenter__(self) -> Self:
        self._ended = [asyncio.ensure_future(server.serve()) for server in self._servers]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.stop()
        if self._ended:
            # Somebody who reads slowly is not waited for.
            await asyncio.wait(self._ended, timeout=1.0)

    def __repr__(self) -> str:
        return f"<AdminPorts {self._servers!r}>"
