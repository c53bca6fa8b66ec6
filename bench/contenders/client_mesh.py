"""`mesh.channel` with nothing configured: every default stage, and traces of which one in a hundred is sampled."""

from __future__ import annotations

from collections.abc import Mapping

from store.v1 import store_pb2_grpc

import mesh
from bench import sample
from bench.contenders import tracing
from bench.pace import Call


async def start(backends: Mapping[str, str]) -> Call:
    channel = mesh.channel(backends["OrderService"], using=tracing.runtime())
    stub = store_pb2_grpc.OrderServiceStub(channel)
    return lambda: stub.PlaceOrder(sample.ORDER_REQUEST)
