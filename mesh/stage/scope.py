"""What a stage is built from: one method, on one side, towards one target, under one policy."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

from mesh.call import Arity, Side
from mesh.policy.policy import Policy
from mesh.telemetry.telemetry import Telemetry

T = TypeVar("T")


class State:
    """Mechanisms that outlive a chain, by key. A policy push keeps the state of every policy it did not change.

    Bounded by the targets and methods of a process times the policies it has seen; not thread-safe.
    """

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}

    def keep(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what is kept under the key, made now if nothing is."""
        if key not in self._kept:
            self._kept[key] = make()
        kept: T = self._kept[key]
        return kept

    def __repr__(self) -> str:
        return f"<State {len(self._kept)} kept>"


class Scope(NamedTuple):
    """Everything a stage's `build` may look at."""

    method: str
    """`/package.Service/Method`."""
    arity: Arity
    side: Side
    target: str
    """The name the client called; on a server, the server's own name."""
    policy: Policy
    telemetry: Telemetry
    state: State
    clock: Callable[[], float] = time.monotonic
    cpu: Callable[[], float] = time.process_time
    """CPU seconds this process has used."""
