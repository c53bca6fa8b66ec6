"""What `HOST:PORT` may be, for listening, for endpoints and for DNS names."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

# RFC 1123, 2.1: labels of letters, digits and hyphens; underscores are common in container networks.
_HOST = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?"
)


class Address(NamedTuple):
    """A host and a port; prints as gRPC wants it, with brackets around IPv6."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_ip(self) -> bool:
        """Whether the host needs no DNS; localhost counts, every resolver knows it."""
        return self.host == "localhost" or _is_ip(self.host)

    @property
    def reachable(self) -> Address:
        """Where somebody on this machine finds who listens here: every interface includes the loopback."""
        return self._replace(host={"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host))  # noqa: S104 - asked for


def parse(text: str, *, least_port: int = 1) -> Address | str:
    """Return the address, or what is wrong with it. `least_port=0` where a free port may be asked for."""
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        return f'"{text}" is not HOST:PORT'
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not _is_ip(host):
            return f'"{text}" is not HOST:PORT: "{host}" is not an IPv6 address'
    elif ":" in host:
        return f'"{text}" is not HOST:PORT: write IPv6 addresses in brackets, such as [::1]:50051'
    elif not _is_ip(host) and not _HOST.fullmatch(host):
        return f'"{text}" is not HOST:PORT: "{host}" is not a host name'
    if not (port.isascii() and port.isdigit() and least_port <= int(port) <= 65535):
        return f'"{text}" is not HOST:PORT: "{port}" is not a port from {least_port} to 65535'
    return Address(host, int(port))


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
