"""What is known of one native gRPC call while it passes through the gateway: what the access log says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from mesh.telemetry.traceparent import TraceContext

if TYPE_CHECKING:
    from gateway.live import Live


class Passage:
    """One call. It is logged as an `Exchange` is, and has the members of one that the log reads."""

    __slots__ = (
        "client", "code", "error", "live", "path", "protocol", "read_bytes", "request_id", "route", "sent_bytes",
        "started", "status", "trace",
    )  # fmt: skip

    method = "POST"

    def __init__(self, path: str, request_id: str, peer: str, live: Live, started: float) -> None:
        self.path = path.encode()
        self.route = path
        self.request_id = request_id
        self.client = host_of(peer)
        self.live = live
        """The schema it is answered with."""
        self.started = started
        """Monotonic seconds."""
        self.status = 200
        """Of HTTP, which gRPC does not fail by."""
        self.code = 0
        self.error = ""
        self.read_bytes = 0
        self.sent_bytes = 0
        self.protocol = "grpc"
        self.trace: TraceContext | None = None

    def __repr__(self) -> str:
        return f"<Passage {self.request_id} {self.route} code={self.code}>"


def host_of(peer: str) -> str:
    """Return the address in what gRPC calls a peer: `ipv4:127.0.0.1:50051`, `ipv6:%5B::1%5D:50051`, `unix:`."""
    family, _, place = peer.partition(":")
    if family not in {"ipv4", "ipv6"}:
        return peer
    return unquote(place).rpartition(":")[0].strip("[]")
