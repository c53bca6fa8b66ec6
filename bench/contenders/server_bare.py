"""A grpc.aio server and nothing else: what the server chain is compared with."""

from __future__ import annotations

from collections.abc import Mapping

import grpc.aio
from store.v1 import store_pb2_grpc

from bench.contenders.orders import Orders
from bench.serving import Serving


async def start(_backends: Mapping[str, str]) -> Serving:
    return await serve(grpc.aio.server())


async def serve(server: grpc.aio.Server) -> Serving:
    """Serve orders on a free port."""
    store_pb2_grpc.add_OrderServiceServicer_to_server(Orders(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return Serving(f"127.0.0.1:{port}", server)
