"""Ports that are ours: bound, so that nobody else can have them, and handed to whoever serves them."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from mesh.config.address import Address
from mesh.errors import ConfigError
from mesh.policy.problem import Problem


class Reservation:
    """One address, and as many sockets bound to it as share its connections. None is listened on yet."""

    def __init__(self, sockets: list[socket.socket], address: Address) -> None:
        self.sockets = sockets
        self.address = address
        """With a real port."""

    @property
    def socket(self) -> socket.socket:
        return self.sockets[0]

    def close(self) -> None:
        """Let go of the address."""
        for each in self.sockets:
            each.close()

    def __repr__(self) -> str:
        return f"<Reservation {self.address} {len(self.sockets)} sockets>"


def reserve(listen: Address, count: int = 1, path: str = "") -> Reservation:
    """Bind an address, for `count` to share; raise ConfigError, with the setting's path, when somebody else has it."""
    with contextlib.ExitStack() as opened:
        try:
            info = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM)[0]
            # Without SO_REUSEPORT first: with it, two gateways on one port would silently share its connections.
            with _bound(info, shared=False) as probe:
                port: int = probe.getsockname()[1]
            address = (info[4][0], port, *info[4][2:])
            found = [opened.enter_context(_bound((*info[:4], address), shared=True)) for _ in range(count)]
        except OSError as error:
            text = f'cannot listen on "{listen}": {error.strerror or error}'
            raise ConfigError([Problem(path, text)]) from error
        opened.pop_all()
        return Reservation(found, Address(str(info[4][0]), port))


def _bound(info: Any, *, shared: bool) -> socket.socket:
    held = socket.socket(info[0], socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
        held.bind(info[4])
    except OSError:
        held.close()
        raise
    return held
