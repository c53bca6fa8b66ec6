"""`mesh.server` with nothing configured: every default stage, health and reflection."""

from __future__ import annotations

from collections.abc import Mapping

from store.v1 import store_pb2_grpc

import mesh
from bench.contenders import tracing
from bench.contenders.orders import Orders
from bench.serving import Serving


async def start(_backends: Mapping[str, str]) -> Serving:
    server = mesh.server("orders", listen="127.0.0.1:0", using=tracing.runtime())
    store_pb2_grpc.add_OrderServiceServicer_to_server(Orders(), server)
    return Serving(await server.start(), server)
