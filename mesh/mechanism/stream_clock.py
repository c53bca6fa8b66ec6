"""When a stream has lived long enough: too long without a message, or too long altogether.

Whoever watches sleeps until `due` and asks `over` then. A message moves `due` without waking anybody: that costs one
assignment a message, and one look in vain for each idle timeout.
"""

from __future__ import annotations

import enum


class Over(enum.Enum):
    """Why a stream has to end."""

    IDLE = "idle"
    AGE = "age"


class StreamClock:
    """The times of one stream."""

    __slots__ = ("_ends", "_idle", "_last")

    def __init__(self, *, now: float, idle: float | None, max_age: float | None) -> None:
        """Begin now; at least one of the limits is a number of seconds."""
        self._idle = float("inf") if idle is None else idle
        self._ends = float("inf") if max_age is None else now + max_age
        self._last = now

    def note(self, now: float) -> None:
        """Learn of a message."""
        self._last = now

    @property
    def due(self) -> float:
        """The earliest moment at which the stream may be over."""
        return min(self._ends, self._last + self._idle)

    def over(self, now: float) -> Over | None:
        """Return why the stream is over, if it is."""
        if now >= self._ends:
            return Over.AGE
        # The same sum as in `due`: with a difference, rounding could make a moment due and not over, for ever.
        return Over.IDLE if now >= self._last + self._idle else None

    def __repr__(self) -> str:
        return f"<StreamClock due={self.due}>"
