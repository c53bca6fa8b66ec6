"""What every client of tests/clients must have been told."""

from __future__ import annotations

from typing import Any

RETRY = "google.rpc.RetryInfo"
REFUSED = {"code": "NotFound", "message": "no ü", "details": [RETRY], "trailer": "last"}
LATE = {"code": "DeadlineExceeded"}


def failure(message: str) -> dict[str, Any]:
    return {"code": "FailedPrecondition", "message": message, "details": [RETRY], "trailer": "last"}


def check(told: dict[str, Any], kinds: tuple[str, ...] = ()) -> None:
    """Assert what scenario.mjs reports of a client that can send these kinds of streams."""
    assert "failed" not in told, told
    assert {
        "header": "first",
        "trailer": "last",
        "text": "hi",
        "demo": ["one", "0001"],
        "limited": True,
    } == told["unary"]
    assert (100_000, "hi") == (told["large"], told["look"])
    assert {"error": REFUSED} == told["refused"]
    assert "DeadlineExceeded" == told["late"]["error"]["code"]
    assert {"texts": ["n0", "n1", "n2"]} == told["count"]
    assert {"texts": []} == told["none"]
    assert {"texts": [], "error": failure("no")} == told["early"]
    assert {"texts": ["n0", "n1"], "error": failure("n")} == told["broken"]
    assert (["n0"], "DeadlineExceeded") == (told["overdue"]["texts"], told["overdue"]["error"]["code"])
    assert (["n0"], "Canceled") == (told["cancelled"]["texts"], told["cancelled"]["error"]["code"])
    if "client" in kinds:
        assert "a b" == told["gather"]
        assert {"error": failure("no")} == told["gatherRefused"]
    if "bidi" in kinds:
        assert {"texts": ["one", "two", "three"]} == told["chat"]
        assert {"texts": ["a"], "error": failure("no")} == told["chatBroken"]
