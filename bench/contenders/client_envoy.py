"""A grpc.aio stub whose calls go through an Envoy beside it, with retries, circuit breakers and outlier detection.

Its CPU counts: what a sidecar costs is what both processes take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import grpc.aio
from store.v1 import store_pb2_grpc

from bench import envoy, sample
from bench.serving import Calling

_RETRY: Final = {"retry_on": "unavailable", "num_retries": 2, "retry_back_off": {"base_interval": "0.05s"}}
_OUTLIER: Final = {"consecutive_5xx": 5, "interval": "1s"}


async def start(backends: Mapping[str, str]) -> Calling:
    port = envoy.free_port()
    sidecar = await envoy.start(
        envoy.bootstrap(port, backends["OrderService"], codec="HTTP2", retry=_RETRY, outlier=_OUTLIER)
    )
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    async with asyncio.timeout(20):
        await channel.channel_ready()
    stub = store_pb2_grpc.OrderServiceStub(channel)
    return Calling(
        lambda: stub.PlaceOrder(sample.ORDER_REQUEST, timeout=15.0), cpu=sidecar.cpu, end=sidecar.end
    )
