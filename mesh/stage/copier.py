"""What a stage needs of whoever can send copies of requests, so that it knows no channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from mesh.call import Arity, Metadata

ANSWERED: Final = "answered"
FAILED: Final = "failed"


class Copy(NamedTuple):
    """A request to be sent once more, somewhere else."""

    target: str
    method: str
    arity: Arity
    message: Any
    """The request, or its bytes."""
    metadata: Metadata
    timeout: float
    ended: Callable[[str], None]
    """Called once, when the copy has ended, with `ANSWERED` or `FAILED`."""


class Copier(Protocol):
    """Sends copies."""

    def send(self, copy: Copy) -> None:
        """Send it soon, after what is being sent now; wait for nothing and raise nothing."""
