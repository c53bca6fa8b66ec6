"""What a Host header may say: a name or an address, and a port."""

from __future__ import annotations

import re
from typing import Final

# RFC 3986, 3.2.2, without what no name of a machine has: user information, sub-delimiters and percent-encoding, which
# the software behind us may read in another way than we do.
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_LONGEST: Final = 300
"""Bytes: RFC 1035 has names of at most 255, and there may be a port."""
_MOST_KNOWN: Final = 1024


def is_host(value: bytes) -> bool:
    """Whether a value can be a host, with or without a port."""
    return len(value) <= _LONGEST and _HOST.fullmatch(value) is not None


class KnownHosts(dict[bytes, bool]):
    """By value: whether it is a host. Clients choose them, so no more than so many are remembered."""

    __slots__ = ()

    def __missing__(self, value: bytes) -> bool:
        valid = is_host(value)
        if len(self) < _MOST_KNOWN and len(value) <= _LONGEST:
            self[value] = valid
        return valid
