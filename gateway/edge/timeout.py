"""How long a request may take: what its headers ask for."""

from __future__ import annotations

import re
from typing import Final

from gateway.problem import RequestProblem, Violation, refuse

# "TimeoutValue → {positive integer as ASCII string of at most 8 digits}" - gRPC over HTTP2
_GRPC: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNITS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_SECONDS: Final = re.compile(rb"[0-9]{1,9}(\.[0-9]{1,9})?")


def read_grpc_timeout(value: bytes) -> float:
    """Return the seconds of a `Grpc-Timeout` header, such as `250m`; raise RequestProblem for anything else."""
    found = _GRPC.fullmatch(value)
    seconds = int(found[1]) * _UNITS[found[2]] if found is not None else 0.0
    if seconds <= 0.0:
        raise _refusal("grpc-timeout", value, 'up to 8 digits and one of H, M, S, m, u, n, such as "250m"')
    return seconds


def read_request_timeout(value: bytes) -> float:
    """Return the seconds of a `Request-Timeout` header, such as `2.5`; raise RequestProblem for anything else."""
    seconds = float(value) if _SECONDS.fullmatch(value) else 0.0
    if seconds <= 0.0:
        raise _refusal("request-timeout", value, 'a number of seconds above 0, such as "2.5"')
    return seconds


def _refusal(header: str, value: bytes, expected: str) -> RequestProblem:
    description = f'"{value[:40].decode("latin-1")}" is not {expected}'
    return refuse([Violation(f"header {header}", description)])
