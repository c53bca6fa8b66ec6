"""A grpc.aio stub with one interceptor for each feature, as people write them: what a fused chain is compared with."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from typing import Any

import grpc
import grpc.aio
from prometheus_client import Counter, Histogram
from store.v1 import store_pb2_grpc

from bench import sample
from bench.pace import Call

_OPEN_AFTER = 5
_OPEN_FOR = 5.0
_ATTEMPTS = 3


class Timeout(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(client_call_details._replace(timeout=15.0), request)


class Trace(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        metadata = client_call_details.metadata or grpc.aio.Metadata()
        metadata.add("traceparent", f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00")
        return await continuation(client_call_details._replace(metadata=metadata), request)


class Metrics(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self) -> None:
        self._seconds = Histogram("bench_client_seconds", "How long calls took.", ["method", "code"])
        self._calls = Counter("bench_client_calls", "Calls begun.", ["method"])

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        method = client_call_details.method.decode()
        self._calls.labels(method).inc()
        began = time.perf_counter()
        call = await continuation(client_call_details, request)
        code = await call.code()
        self._seconds.labels(method, code.name).observe(time.perf_counter() - began)
        return call


class Retry(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        attempt = 1
        while True:
            call = await continuation(client_call_details, request)
            if await call.code() is not grpc.StatusCode.UNAVAILABLE or attempt == _ATTEMPTS:
                return call
            await asyncio.sleep(0.05 * 2**attempt)
            attempt += 1


class Breaker(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self) -> None:
        self._failures = 0
        self._until = 0.0

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        if time.monotonic() < self._until:
            raise grpc.aio.AioRpcError(
                grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "circuit open"
            )
        call = await continuation(client_call_details, request)
        if await call.code() is grpc.StatusCode.UNAVAILABLE:
            self._failures += 1
            if self._failures >= _OPEN_AFTER:
                self._until = time.monotonic() + _OPEN_FOR
        else:
            self._failures = 0
        return call


async def start(backends: Mapping[str, str]) -> Call:
    channel = grpc.aio.insecure_channel(
        backends["OrderService"], interceptors=[Trace(), Metrics(), Timeout(), Retry(), Breaker()]
    )
    stub = store_pb2_grpc.OrderServiceStub(channel)
    return lambda: stub.PlaceOrder(sample.ORDER_REQUEST)
