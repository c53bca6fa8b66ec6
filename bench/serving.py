"""What a contender hands over when it is up, if that is more than the call it makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bench import pace


class Serving(NamedTuple):
    """A server contender that is up."""

    address: str
    kept: object
    """What must not be collected: event loops hold tasks weakly, and a dropped grpc.aio server stops."""
    cpu: Callable[[], float] | None = None
    """The CPU seconds of other processes that serve."""
    end: Callable[[], None] | None = None
    """Ends them."""


class Calling(NamedTuple):
    """A client contender that has another process do part of its work."""

    call: pace.Call
    cpu: Callable[[], float]
    """The CPU seconds of the other process."""
    end: Callable[[], None]
    """Ends the other process."""
