"""Who answers a request to `/package.Service/Method`."""

from __future__ import annotations

import json

import pytest

from mesh.config.edge import Cors, Protocol
from tests.gateway.asgi.client import call
from tests.gateway.protocol.backend import SERVICE
from tests.gateway.protocol.speech import SPEECHES, envelope

SAY, LOOK, COUNT = (f"/{SERVICE}/{method}" for method in ("Say", "Look", "Count"))
WEB = "application/grpc-web"
UNARY = "application/proto"
STREAM = "application/connect+proto"


@pytest.mark.parametrize(
    ("protocols", "path", "content_type", "served"),
    [
        ({Protocol.GRPC_WEB, Protocol.CONNECT}, SAY, WEB, True),
        ({Protocol.GRPC_WEB, Protocol.CONNECT}, SAY, UNARY, True),
        ({Protocol.GRPC_WEB}, SAY, WEB, True),
        ({Protocol.GRPC_WEB}, SAY, UNARY, False),
        ({Protocol.CONNECT}, SAY, WEB, False),
        ({Protocol.CONNECT}, SAY, UNARY, True),
        # "If Streaming-Content-Type does not begin with "application/connect+", servers should respond with [...] 415".
        ({Protocol.CONNECT}, COUNT, UNARY, False),
        ({Protocol.CONNECT}, COUNT, "application/json", False),
        ({Protocol.CONNECT}, SAY, STREAM, False),
        ({Protocol.CONNECT}, SAY, "application/grpc", False),
        ({Protocol.CONNECT}, SAY, "text/plain", False),
        ({Protocol.CONNECT}, SAY, "-", False),
    ],
)
async def test_a_content_type_nobody_reads_is_refused_with_those_that_are(
    make, protocols, path, content_type, served
):
    app = await make(protocols=frozenset(protocols))

    response = await call(app, "POST", path, envelope(b""), headers=[("content-type", content_type)])

    assert served == (response.status != 415)
    if not served:
        accepted = response.headers["accept-post"].split(", ")
        assert (Protocol.GRPC_WEB in protocols) == (WEB in accepted)
        assert response.json["code"] == 3


async def test_plain_grpc_is_told_where_it_is_not(app):
    response = await call(app, "POST", SAY, b"", headers=[("content-type", "application/grpc+proto")])

    assert "plain gRPC has a port of its own" in response.json["message"]


async def test_without_protocols_there_is_nothing(make):
    app = await make(protocols=frozenset())

    response = await call(app, "POST", SAY, b"", headers=[("content-type", WEB)])

    assert 404 == response.status


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", SAY, 405, "OPTIONS, POST"),
        ("PUT", LOOK, 405, "GET, HEAD, OPTIONS, POST"),
        ("OPTIONS", SAY, 204, "OPTIONS, POST"),
    ],
)
async def test_other_http_methods_are_told_what_is_allowed(app, method, path, status, allow):
    response = await call(app, method, path)

    assert (status, allow) == (response.status, response.headers["allow"])


@pytest.mark.parametrize(
    ("headers", "body", "connect"),
    [
        # With `unannotated_methods` REST has the same path, and keeps what it had.
        ([], {"code": 5}, False),
        ([("connect-protocol-version", "1")], {"code": 5}, True),
        ([("content-type", UNARY)], b"\x10\x05", True),
        ([("content-type", "text/plain")], b"x", False),
    ],
)
async def test_rest_at_the_same_path_answers_plain_json(make, headers, body, connect):
    app = await make(unannotated_methods=True)

    response = await call(app, "POST", f"/{SERVICE}/Hidden", body, headers=headers)

    assert connect == isinstance(response.json["code"], str)


async def test_a_preflight_allows_post(make):
    app = await make(cors=Cors(allow_origins=("https://shop.example",)))

    response = await call(
        app,
        "OPTIONS",
        SAY,
        headers=[
            ("origin", "https://shop.example"),
            ("access-control-request-method", "POST"),
            (
                "access-control-request-headers",
                "content-type,x-grpc-web,grpc-timeout,connect-protocol-version",
            ),
        ],
    )

    assert "POST" in response.headers["access-control-allow-methods"]
    allowed = response.headers["access-control-allow-headers"]
    assert all(
        name in allowed for name in ("x-grpc-web", "x-user-agent", "grpc-timeout", "connect-timeout-ms")
    )


async def test_a_page_may_read_the_status_and_its_details(make, backend):
    app = await make(cors=Cors(allow_origins=("*",)))

    told = await SPEECHES[0].call(
        app, backend, "Say", {"code": 5}, headers=[("origin", "https://shop.example")]
    )

    exposed = told.response.headers["access-control-expose-headers"].split(", ")
    assert {"grpc-status", "grpc-message", "grpc-status-details-bin"} <= set(exposed)


async def test_the_route_of_logs_and_metrics_is_the_method(make, backend, capsys):
    app = await make(access_log=True)
    await SPEECHES[0].call(app, backend, "Say", {"code": 5})
    await app.close()

    line = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (SAY, 200, "NOT_FOUND") == (line["route"], line["status"], line["code"])
