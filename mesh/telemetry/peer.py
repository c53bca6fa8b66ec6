"""What gRPC's name of a peer says about its address."""

from __future__ import annotations

from urllib.parse import unquote


def address(peer: str) -> tuple[str, int | None]:
    """Split `ipv4:127.0.0.1:5000`, `ipv6:%5B::1%5D:5000` or `unix:/path` into host and port.

    The host is empty when the peer has no address.
    """
    kind, _, rest = peer.partition(":")
    if kind == "unix":
        return rest, None
    if kind not in {"ipv4", "ipv6"}:
        return "", None
    host, _, port = unquote(rest).rpartition(":")
    return host.strip("[]"), int(port) if port.isdecimal() else None
