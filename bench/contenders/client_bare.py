"""A grpc.aio stub and nothing else: what the client chain is compared with."""

from __future__ import annotations

from collections.abc import Mapping

import grpc.aio
from store.v1 import store_pb2_grpc

from bench import sample
from bench.pace import Call


async def start(backends: Mapping[str, str]) -> Call:
    stub = store_pb2_grpc.OrderServiceStub(grpc.aio.insecure_channel(backends["OrderService"]))
    return lambda: stub.PlaceOrder(sample.ORDER_REQUEST)
