"""The process that makes load for servers: HTTP requests and gRPC calls, paced and timed outside the contender."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc.aio
import orjson
from google.protobuf import json_format

from bench import child, pace, sample
from bench.http_client import Pool

# An unsampled caller with a deadline, as every client of a mesh is.
_METADATA = (("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),)
_TIMEOUT = 15.0

_ORDER = orjson.dumps(json_format.MessageToDict(sample.ORDER_REQUEST))
_HEADERS = (
    b"host: bench\r\nuser-agent: bench\r\naccept: application/json\r\ntraceparent: %b\r\n"
    % _METADATA[0][1].encode()
)
REQUESTS = {
    "order": b"POST /v1/orders HTTP/1.1\r\n%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
    % (_HEADERS, len(_ORDER), _ORDER),
    "page": b"GET /v1/pages/item-000042 HTTP/1.1\r\n%b\r\n" % _HEADERS,
}
"""The HTTP requests, by what they ask for."""


class Load:
    """Load on any server, by kind of request; connections are kept between runs."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str], pace.Call] = {}

    async def run(self, address: str, asks: str, concurrency: int, rate: float, seconds: float) -> list[int]:
        """Return the latencies in microseconds."""
        return await pace.run(self._call(address, asks), concurrency=concurrency, rate=rate, seconds=seconds)

    async def ask(self, address: str, asks: str) -> Any:
        """Return what an HTTP server answers, as JSON."""
        async with asyncio.timeout(10):
            answer = await self._call(address, asks)()
        return orjson.loads(answer)  # type: ignore[arg-type]  # HTTP calls return their bodies

    def _call(self, address: str, asks: str) -> pace.Call:
        call = self._calls.get((address, asks))
        if call is None:
            call = _grpc(address) if asks == "rpc" else Pool(address, REQUESTS[asks]).call
            self._calls[address, asks] = call
        return call


def _grpc(address: str) -> pace.Call:
    channel = grpc.aio.insecure_channel(address, options=[("grpc.enable_retries", 0)])
    # Bytes in, bytes out: serializing is not what is measured, and would only slow the load down.
    invoke = channel.unary_unary("/store.v1.OrderService/PlaceOrder")
    request = sample.ORDER_REQUEST.SerializeToString()
    expected = len(sample.ORDER_RESPONSE.SerializeToString())

    async def call() -> None:
        answer = await invoke(request, timeout=_TIMEOUT, metadata=_METADATA)
        if len(answer) != expected:
            raise ValueError(f"the answer has {len(answer)} bytes instead of {expected}")

    return call


async def main() -> None:
    load = Load()
    await child.obey("ready", {"run": load.run, "ask": load.ask, "settle": child.settle, "mark": child.mark})


if __name__ == "__main__":
    child.run(main())
