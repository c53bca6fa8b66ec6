"""The least that any client interceptor for deadlines and traces costs: one that does nothing, a timeout, one header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc.aio
from store.v1 import store_pb2_grpc

from bench import sample
from bench.pace import Call
from mesh.binding.service_config import channel_arguments
from mesh.policy.table import PolicyTable

_METADATA = (("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),)


class Idle(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        call = await continuation(client_call_details, request)
        await call
        return call


async def start(backends: Mapping[str, str]) -> Call:
    channel = grpc.aio.insecure_channel(
        backends["OrderService"],
        options=channel_arguments(PolicyTable().connection()),
        interceptors=[Idle()],
    )
    stub = store_pb2_grpc.OrderServiceStub(channel)
    return lambda: stub.PlaceOrder(sample.ORDER_REQUEST, timeout=15.0, metadata=_METADATA)
