"""The mesh for plain grpc: threads and plain functions in the place of an event loop and `async def`.

channel = mesh.sync.channel("catalog")
server = mesh.sync.server("catalog")
"""

from mesh.binding.channel_sync import channel, client_interceptors
from mesh.binding.serving_sync import Server, server, server_interceptors

__all__ = ["Server", "channel", "client_interceptors", "server", "server_interceptors"]
