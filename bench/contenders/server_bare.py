"""A grpc.aio server and nothing else: what the server chain is compared with."""

from __future__ import annotations

from collections.abc import Mapping

import grpc.aio
from store.v1 import store_pb2_grpc

from bench.contenders.orders import Orders


async def start(backends: Mapping[str, str]) -> str:
    return await serve(grpc.aio.server())


async def serve(server: grpc.aio.Server) -> str:
    """Serve orders on a free port; return the address."""
    store_pb2_grpc.add_OrderServiceServicer_to_server(Orders(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return f"127.0.0.1:{port}"
