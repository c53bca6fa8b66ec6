"""What a stage is built from: one method, on one side, towards one target, under one policy."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Final, NamedTuple, TypeVar

from google.protobuf import descriptor_pool

from mesh.call import Arity, Side
from mesh.policy.policy import Policy
from mesh.stage.copier import Copier
from mesh.telemetry.telemetry import Telemetry

OFF: Final = "not configured"
"""Why most stages are absent: no policy asks for them, or one switches them off."""

T = TypeVar("T")


class State:
    """Mechanisms that outlive a chain, by key. A policy push keeps the state of every policy it did not change.

    Bounded by the targets and methods of a process: what no policy names any more goes with the push that dropped it.
    Asked only while a chain is compiled, by whoever holds `compiling`.
    """

    __slots__ = ("_asked", "_kept", "compiling")

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}
        self._asked: set[Hashable] | None = None
        self.compiling = threading.RLock()
        """Held while a chain is compiled, and while a push decides what is still wanted."""

    def keep(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what is kept under the key, made now if nothing is."""
        if self._asked is not None:
            self._asked.add(key)
        if key not in self._kept:
            self._kept[key] = make()
        kept: T = self._kept[key]
        return kept

    @contextlib.contextmanager
    def renewal(self) -> Iterator[None]:
        """Keep, in the end, only what is asked for inside; if it raises, what was kept before."""
        with self.compiling:
            before, self._asked = dict(self._kept), set()
            done = False
            try:
                yield
                done = True
            finally:
                asked, self._asked = self._asked, None
                self._kept = {key: self._kept[key] for key in asked} if done else before

    @property
    def size(self) -> int:
        """How many mechanisms are kept."""
        return len(self._kept)

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
    pool: descriptor_pool.DescriptorPool | None = None
    """Where the environment's descriptors are; None: there are only those of imported stubs."""
    random: Callable[[], float] = random.random
    """Uniform in [0, 1)."""
    copier: Copier | None = None
    """Who sends copies of requests; None: nobody can."""
    subsets: tuple[str, ...] | None = None
    """The parts of the target that calls may be routed to; none where the target is such a part itself; None: whoever calls
    does not route.
    """
