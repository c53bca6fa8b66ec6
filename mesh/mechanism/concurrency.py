"""Decides whether one more may be in flight, under a limit that is fixed or moved by what it learns.

Rules:

1. A level is refused what would take it beyond its share of the limit, whoever fills it: with shares of 0.5 and 1.0 the
   lower level is refused from half of the limit on, so it is shed first. Every share holds one call at least, or a low
   level would starve under a small limit.
2. Every slot taken is given back once, with when it was taken and how the call ended: `True` an answer, `False` a sign of
   overload, `None` says nothing.
3. A mover is told of every slot that comes back and answers with the limit from now on. It may be below what is in
   flight: then nobody is admitted until enough came back.

Limits. Levels do not preempt each other: what is in flight stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

_WEIGHT: Final = 0.1
"""Of the newest duration in the moving mean."""


class Mover(Protocol):
    """What moves an adaptive limit."""

    @property
    def limit(self) -> int:
        """The limit from now on."""

    def learn(self, began: float, latency: float, ok: bool | None, now: float, use: float) -> None:  # noqa: FBT001 - three-valued by design
        """Learn from a call that ended; `use` is the share of the limit in flight, at least 1.0 after a refusal."""


class ConcurrencyLimit:
    """Counts what is in flight and refuses what exceeds the limit. Not thread-safe.

    `limit`, `in_flight` and `duration`, the mean seconds a slot was held lately, are for reading only.
    """

    __slots__ = ("_mover", "_refused", "_rooms", "_shares", "duration", "in_flight", "limit")

    def __init__(self, *, limit: int, shares: Sequence[float] = (1.0,), mover: Mover | None = None) -> None:
        """`shares` are of the levels 0, 1 and so on; with a mover `limit` is where it starts."""
        self._shares = tuple(shares)
        self._mover = mover
        self._refused = False  # anybody, since the last slot came back
        self.in_flight = 0
        self.duration = 0.0
        self._resize(limit)

    def try_acquire(self, level: int = 0) -> bool:
        """Take a slot if there is one; whoever gets True calls `release` once."""
        if self.in_flight >= self._rooms[level]:
            self._refused = True
            return False
        self.in_flight += 1
        return True

    def release(self, began: float, ok: bool | None, now: float, answered: float = 0.0) -> None:  # noqa: FBT001 - as above
        """Give back a slot taken at `began`; `answered` is when the answer began to come, if before now."""
        held = now - began
        self.duration += (held - self.duration) * _WEIGHT if self.duration else held
        mover, used = self._mover, self.in_flight
        self.in_flight -= 1  # first: whatever the mover makes of it, the slot is back
        if mover is not None:
            latency = answered - began if answered else held
            mover.learn(began, latency, ok, now, max(used / self.limit, float(self._refused)))
            self._refused = False
            if mover.limit != self.limit:
                self._resize(mover.limit)

    def _resize(self, limit: int) -> None:
        self.limit = limit
        self._rooms = tuple(max(1, int(limit * share)) if limit else 0 for share in self._shares)

    def __repr__(self) -> str:
        return f"<ConcurrencyLimit {self.in_flight}/{self.limit}>"
