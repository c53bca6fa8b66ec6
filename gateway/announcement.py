"""What the packaged server says to whoever started it: in text, and by its exit code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gateway.blueprint import Blueprint
from gateway.reservation import Reservation
from mesh.config.address import Address
from mesh.config.spec import Gateway as Settings
from mesh.errors import ConfigError

OK: Final = 0
FAILED: Final = 1
WRONG: Final = 2
"""Exit codes: done; a worker failed; what was configured cannot be served."""

RELOADED: Final = "reloaded: new connections and requests follow the configuration as it is now"

Announce = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Ports:
    """Every port that a gateway has been given."""

    http: Reservation
    rpc: Reservation | None
    admin: Reservation | None
    metrics: Reservation | None
    """Where several workers' metrics are served; one worker serves its own."""

    @property
    def rpc_listen(self) -> Address | None:
        return None if self.rpc is None else self.rpc.address


def refuse(error: ConfigError, announce: Announce) -> int:
    """Say what is wrong; return the exit code for it."""
    for problem in error.problems:
        announce(str(problem))
    return WRONG


def describe(blueprint: Blueprint) -> str:
    """Return the routes as text, for people."""
    rows = [
        (binding.http_method, str(binding.template), _note(binding, blueprint))
        for binding in blueprint.table.bindings
    ]
    width = max((len(path) for _, path, _ in rows), default=0)
    lines = [f"  {method:<7} {path:<{width}}  {note}" for method, path, note in rows]
    lines += [f"  not exposed: {skipped.method} ({skipped.reason})" for skipped in blueprint.table.skipped]
    return "\n".join(["routes:", *lines])


def _note(binding: Any, blueprint: Blueprint) -> str:
    name: str = binding.full_method[1:]
    if binding.full_method in blueprint.plans:
        return f"{name} (composed)"
    streams = binding.method.server_streaming or binding.method.client_streaming
    return f"{name} (stream)" if streams else name


def welcome(ports: Ports, settings: Settings) -> str:
    """Return where the gateway is, when it is ready."""
    url = f"{'http' if settings.tls is None else 'https'}://{ports.http.address}"
    more = "".join(
        f", {name}: {reservation.address}"
        for name, reservation in (("gRPC", ports.rpc), ("admin", ports.admin), ("metrics", ports.metrics))
        if reservation is not None
    )
    count = f", {settings.workers} workers" if settings.workers > 1 else ""
    return f"gateway ready on {url} (API docs: {url}/docs, OpenAPI: {url}/openapi.json{more}{count})"
