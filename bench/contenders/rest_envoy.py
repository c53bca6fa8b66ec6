"""Envoy's gRPC-JSON transcoder with the descriptors our gateway has: what C++ makes of the same annotations."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from bench import envoy, stubs
from bench.serving import Serving


def _transcoder() -> dict[str, Any]:
    name = "envoy.filters.http.grpc_json_transcoder"
    config = {
        "@type": f"{envoy.TYPES}.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        "proto_descriptor": str(stubs.DESCRIPTORS),
        "services": ["store.v1.OrderService"],
    }
    return {"name": name, "typed_config": config}


async def start(backends: Mapping[str, str]) -> Serving:
    port = envoy.free_port()
    filters = (_transcoder(),)
    transcoder = await envoy.start(
        envoy.bootstrap(port, backends["OrderService"], codec="AUTO", filters=filters)
    )
    async with asyncio.timeout(20):
        while not await _listens(port):  # noqa: ASYNC110 - another process's socket
            await asyncio.sleep(0.05)
    return Serving(f"127.0.0.1:{port}", transcoder, cpu=transcoder.cpu, end=transcoder.end)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
