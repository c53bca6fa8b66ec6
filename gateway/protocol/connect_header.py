"""What Connect's own headers say: the version of the protocol, and how long a call may take."""

from __future__ import annotations

from gateway.exchange import Exchange
from gateway.problem import RequestProblem
from gateway.protocol.endpoint import RequestHeaders
from mesh.call import Code

_DIGITS = 10


def check_version(headers: RequestHeaders) -> None:
    """Raise RequestProblem for another version than 1; a request may leave it out."""
    version = headers.get(b"connect-protocol-version")
    if version is not None and version != b"1":
        raise RequestProblem(f'header connect-protocol-version: "{_shown(version)}" is not known, only "1"')


def read_timeout(headers: RequestHeaders, exchange: Exchange) -> None:
    """Take `connect-timeout-ms` over into the exchange; raises RequestProblem."""
    value = headers.get(b"connect-timeout-ms")
    if value is None:
        return
    # "positive integer as ASCII string of at most 10 digits" - the protocol
    if not value.isdigit() or len(value) > _DIGITS:
        text = f'"{_shown(value)}" is not a number of milliseconds, of up to {_DIGITS} digits'
        raise RequestProblem(f"header connect-timeout-ms: {text}")
    seconds = int(value) / 1000
    if seconds == 0.0:
        # What connect-go's client writes when its deadline passes just then.
        raise RequestProblem("header connect-timeout-ms: no time is left", code=Code.DEADLINE_EXCEEDED)
    exchange.timeout = seconds if exchange.timeout is None else min(seconds, exchange.timeout)


def _shown(value: bytes) -> str:
    return value[:40].decode("latin-1")
