"""grpc-mesh: a service mesh inside your gRPC processes.

channel = mesh.channel("catalog")        # discovery, load balancing, deadlines, retries, breakers, telemetry
server = mesh.server("catalog")          # the same on the serving side, with health, reflection and draining

Names are imported at their first use: `mesh --help`, and Ctrl-C while a command starts, need not wait for gRPC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mesh.binding.channel import channel, client_interceptors
    from mesh.binding.run import run
    from mesh.binding.server import Server, server, server_interceptors
    from mesh.call import Call, Outcome
    from mesh.contract import Stage
    from mesh.errors import ChainError, ConfigError, MeshError
    from mesh.placement import place
    from mesh.stage.load_report import report_load

__all__ = [
    "Call",
    "ChainError",
    "ConfigError",
    "MeshError",
    "Outcome",
    "Server",
    "Stage",
    "channel",
    "client_interceptors",
    "place",
    "report_load",
    "run",
    "server",
    "server_interceptors",
]

_MODULES = {
    "Call": "call",
    "ChainError": "errors",
    "ConfigError": "errors",
    "MeshError": "errors",
    "Outcome": "call",
    "Server": "binding.server",
    "Stage": "contract",
    "channel": "binding.channel",
    "client_interceptors": "binding.channel",
    "place": "placement",
    "report_load": "stage.load_report",
    "run": "binding.run",
    "server": "binding.server",
    "server_interceptors": "binding.server",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"mesh.{_MODULES[name]}"), name)
    return value
