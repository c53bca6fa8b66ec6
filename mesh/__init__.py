"""grpc-mesh: a service mesh inside your gRPC processes.

channel = mesh.channel("catalog")        # discovery, load balancing, deadlines, retries, breakers, telemetry
server = mesh.server("catalog")          # the same on the serving side, with health, reflection and draining
"""

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
