"""Which HTTP status and which JSON an error has: google.rpc.Status, one shape for every error.

{"code": 5, "message": "no such product", "details": [{"@type": "type.googleapis.com/...", ...}]}

For those who ask for RFC 9457 the same is a problem: its members, with `code` and `details` beside them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import orjson

from gateway.problem import Violation

# The comments of google/rpc/code.proto: "HTTP Mapping: 404 Not Found" and so on, by number.
HTTP_STATUS: Final = (200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401)

BAD_REQUEST: Final = "type.googleapis.com/google.rpc.BadRequest"

_PHRASES: Final = {int(status): status.phrase for status in HTTPStatus}

_UNREACHABLE: Final = "the service behind this method cannot be reached"
_FAILED: Final = "the service behind this method failed"
_CUT_OFF: Final = "the call to the service behind this method was cut off"
# What gRPC's core says about connections names internal addresses ("last error: UNKNOWN: ipv4:10.0.0.7:50051 ...").
_ADDRESSES: Final = re.compile(
    r"\bipv[46]:|\bunix:|last error:|DNS resolution|name resolution", re.IGNORECASE
)
# What a circuit breaker says names the target; the outside learns the method and when to come back.
_TARGET: Final = re.compile(r"(\bcircuit open for \S+) at \S+,")
# What grpc's Python servers answer for an exception of the handler: its class and text are the service's own business.
# Compositions put in front of it which call it was.
_EXCEPTION: Final = re.compile(
    r'(step "\w+": |item \d+ of \d+: )*'
    r"(Unexpected <class '|Exception (calling|iterating|serializing|deserializing))"
)
# gRPC's core, when it ends a call itself: "Stream removed (Deadline Exceeded)".
_CORE: Final = re.compile(r'(step "\w+": |item \d+ of \d+: )*Stream removed \(')


def http_status(code: int) -> int:
    """Return the HTTP status of a gRPC status; numbers nobody defined are a server's fault."""
    return HTTP_STATUS[code] if 0 <= code < len(HTTP_STATUS) else 500


def encode_status(code: int, message: str, details: Sequence[Any] = ()) -> bytes:
    """Return the JSON of an error; `details` are JSON values that each have an `@type`."""
    status = {"code": code, "message": message, "details": details}
    try:
        return orjson.dumps(status)
    except orjson.JSONEncodeError:  # text that is not Unicode, quoted from the request
        status["message"] = message.encode("utf-8", "replace").decode()
        status["details"] = []
        return orjson.dumps(status)


def encode_problem(
    status: int, code: int, message: str, details: Sequence[Any] = (), *, request_id: str
) -> bytes:
    """Return the JSON of an error as RFC 9457 has it."""
    problem = {
        # RFC 9457, 4.2.1: ""about:blank" [...] indicates that the problem has no additional semantics beyond that of the
        # HTTP status code. When "about:blank" is used, the title SHOULD be the same as the recommended HTTP status phrase".
        "type": "about:blank",
        "title": _PHRASES.get(status, "Client Closed Request"),
        "status": status,
        "detail": message,
        "instance": f"urn:request:{quote(request_id, safe='')}",
        "code": code,
        "details": details,
    }
    try:
        return orjson.dumps(problem)
    except orjson.JSONEncodeError:  # text that is not Unicode, quoted from the request
        problem |= {"detail": message.encode("utf-8", "replace").decode(), "details": []}
        return orjson.dumps(problem)


def bad_request(violations: Sequence[Violation]) -> list[dict[str, Any]]:
    """Return the details of a request with these violations."""
    if not violations:
        return []
    listed = [{"field": field, "description": description} for field, description in violations]
    return [{"@type": BAD_REQUEST, "fieldViolations": listed}]


def public_message(message: str, *, unavailable: bool) -> str:
    """Return what the outside may read of a backend's message: all but addresses and the text of exceptions."""
    if unavailable and _ADDRESSES.search(message):
        return _UNREACHABLE
    if _EXCEPTION.match(message):
        return _FAILED
    if _CORE.match(message):
        return _CUT_OFF
    return _TARGET.sub(r"\1,", message) if unavailable else message
