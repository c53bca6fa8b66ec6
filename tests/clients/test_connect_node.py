"""@connectrpc/connect-node: Connect and gRPC-Web over HTTP/1.1 and HTTP/2, gRPC on its own port."""

from __future__ import annotations

import json

import pytest

from tests.clients.told import check

pytestmark = pytest.mark.slow

HALF = ("client",)
FULL = ("client", "bidi")
# What an HTTP/1.1 connection cannot do is talk and listen at once.
ROWS = [
    ("connect", "1.1", HALF, {"useBinaryFormat": True}),
    ("connect", "1.1", HALF, {"useBinaryFormat": False, "compress": "gzip"}),
    ("connect", "2", FULL, {"useBinaryFormat": True, "compress": "gzip"}),
    ("connect", "2", FULL, {"useBinaryFormat": False, "compress": "br"}),
    ("connect", "2", FULL, {"useBinaryFormat": True, "useHttpGet": True}),
    ("grpc-web", "1.1", HALF, {"useBinaryFormat": True, "compress": "gzip"}),
    ("grpc-web", "2", FULL, {"useBinaryFormat": True}),
    ("grpc-web", "2", FULL, {"useBinaryFormat": False, "compress": "br"}),
    ("grpc", "2", FULL, {"useBinaryFormat": True}),
    ("grpc", "2", FULL, {"useBinaryFormat": True, "compress": "gzip"}),
]


@pytest.mark.parametrize(("protocol", "version", "kinds", "options"), ROWS)
def test_every_transport_is_told_the_same(run, gateway, protocol, version, kinds, options):
    port = gateway.grpc if protocol == "grpc" else gateway.http
    given = {
        "protocol": protocol,
        "httpVersion": version,
        "baseUrl": f"http://127.0.0.1:{port}",
        "kinds": kinds,
        **options,
    }

    check(run("node.mjs", json.dumps(given)), kinds)
