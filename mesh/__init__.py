"""grpc-mesh: a service mesh inside your gRPC processes.

channel = mesh.channel("catalog")        # discovery, load balancing, deadlines, retries, breakers, telemetry
server = mesh.server("catalog")          # the same on the serving side, with health, reflection and draining
"""

from mesh.binding.channel import channel, client_interceptors
from mesh.binding.run import run
from mesh.binding.server import Server, server, server_interceptors
from mesh.errors import ChainError, ConfigError, MeshError

__all__ = [
    "ChainError",
    "ConfigError",
    "MeshError",
    "Server",
    "channel",
    "client_interceptors",
    "run",
    "server",
    "server_interceptors",
]
