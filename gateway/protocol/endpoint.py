"""What answers one method in one protocol: who reads a request, and who words its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from gateway.exchange import Exchange
from gateway.problem import RequestProblem
from mesh.call import Call
from mesh.telemetry.durations import Durations

RequestHeaders = Mapping[bytes, bytes]
"""What protocols read, by lower-case name."""

READ = frozenset({
    b"content-type",
    b"accept",
    b"content-encoding",
    b"connect-protocol-version",
    b"connect-timeout-ms",
    b"connect-content-encoding",
    b"connect-accept-encoding",
    b"grpc-encoding",
    b"grpc-accept-encoding",
})  # fmt: skip


def read_headers(exchange: Exchange) -> RequestHeaders:
    """Return the headers that protocols read; of one given twice the last."""
    return {name: value for name, value in exchange.scope["headers"] if name in READ}


class Endpoint(Protocol):
    """What `app` needs of one; REST's endpoints have the same."""

    path: str
    durations: Durations

    def begin(self, exchange: Exchange, headers: RequestHeaders) -> None:
        """Take over the wording of everything that is said to this request, refusals included."""

    async def answer(self, exchange: Exchange, captures: Sequence[str], parent: Call) -> None:
        """Answer it."""


class Voice(Protocol):
    """Who words the answer to a request that ends before its call does."""

    async def problem(self, exchange: Exchange, problem: RequestProblem) -> None: ...
    async def fault(self, exchange: Exchange, error: Exception) -> None: ...
