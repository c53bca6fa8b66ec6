"""A grpc.aio stub behind opentelemetry-instrumentation-grpc: traces alone, sampled as the mesh's are."""

from __future__ import annotations

from collections.abc import Mapping

import grpc.aio
from opentelemetry.instrumentation.grpc import aio_client_interceptors
from store.v1 import store_pb2_grpc

from bench import sample
from bench.contenders import tracing
from bench.pace import Call


async def start(backends: Mapping[str, str]) -> Call:
    tracing.install()
    channel = grpc.aio.insecure_channel(backends["OrderService"], interceptors=aio_client_interceptors())
    stub = store_pb2_grpc.OrderServiceStub(channel)
    return lambda: stub.PlaceOrder(sample.ORDER_REQUEST)
