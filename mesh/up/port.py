"""Which loopback ports are free to be given to instances."""

from __future__ import annotations

import random
import socket

from mesh.config.address import Address

# Below the ports that Linux gives to outgoing connections (32768 to 60999), which come and go: an instance that is
# started again must find its port free.
_FIRST, _LAST = 20000, 32767
_HOST = "127.0.0.1"


def choose(count: int, draw: random.Random) -> list[Address]:
    """Return that many different addresses nobody listens on now."""
    candidates = list(range(_FIRST, _LAST + 1))
    draw.shuffle(candidates)
    found: list[Address] = []
    for port in candidates:
        if len(found) == count:
            return found
        address = Address(_HOST, port)
        if is_free(address):
            found.append(address)
    raise OSError(f"there are no {count} free ports from {_FIRST} to {_LAST}")


def is_free(address: Address) -> bool:
    """Whether the address can be listened on."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections of the last run that linger are not in the way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError:
            return False
    return True
