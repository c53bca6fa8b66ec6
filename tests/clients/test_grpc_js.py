"""@grpc/grpc-js against the port where the gateway speaks plain gRPC."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow


def test_a_native_client_is_told_what_rest_is(run, gateway):
    told = run("grpc.mjs", f"127.0.0.1:{gateway.grpc}")

    failure = {"code": "FAILED_PRECONDITION", "message": "no", "trailer": "last"}
    assert {
        "header": "first",
        "trailer": "last",
        "text": "hi",
        "demo": ["one", "0001"],
        "limited": True,
    } == told["unary"]
    assert {"code": "NOT_FOUND", "message": "no ü", "trailer": "last"} == told["refused"]["error"]
    assert "DEADLINE_EXCEEDED" == told["late"]["error"]["code"]
    # No HTTP rule, so not exposed in any protocol.
    assert "UNIMPLEMENTED" == told["hidden"]["error"]["code"]
    assert {"texts": ["n0", "n1", "n2"]} == told["count"]
    assert {"texts": ["n0", "n1"], "error": {**failure, "message": "n"}} == told["broken"]
    assert "a b" == told["gather"]
    assert {"texts": ["a", "b"]} == told["chat"]
    assert {"texts": ["a"], "error": failure} == told["chatBroken"]
