"""What a server contender hands over when it is up."""

from __future__ import annotations

from typing import NamedTuple


class Serving(NamedTuple):
    """A server contender that is up."""

    address: str
    kept: object
    """What must not be collected: event loops hold tasks weakly, and a dropped grpc.aio server stops."""
