"""Decides whether a retry is covered by the traffic that earns it.

Rules (Finagle's RetryBudget). Over a sliding window, retries may not exceed `ratio` for every first call plus `floor`
for every second:

    balance = floor * window + ratio * deposits - withdrawals        both counted over the window

A retry needs a whole retry's worth of balance. In an outage that lasts longer than the window, the load on the
target is therefore at most `1 + ratio` times the calls made, plus `floor` a second: attempts are not multiplied.

Limits. The floor is granted for the whole window at once, so a quiet client may retry `floor * window` times in one
moment. `floor * window` and `ratio` times the calls of a window both below one allow no retry at all. Events are
forgotten a tenth of the window at a time.
"""

from __future__ import annotations

from typing import Final

from mesh.mechanism.window import RateWindow

_ROUNDING: Final = 1e-9
"""Ten tenths do not always add up to one."""


class RetryBudget:
    """Bounds retries by the calls that earn them. Not thread-safe."""

    __slots__ = ("_events", "_ratio", "_reserve")

    def __init__(self, *, ratio: float, floor: float, window: float, now: float) -> None:
        self._ratio = ratio
        self._reserve = floor * window
        # One ring holds both: a first call is counted as a success, a retry as a failure.
        self._events = RateWindow(span=window, now=now)

    def deposit(self, now: float) -> None:
        """Count a first call, which earns `ratio` of a retry."""
        self._events.record(True, now)  # noqa: FBT003 - see the constructor

    def try_withdraw(self, now: float) -> bool:
        """Spend one retry if the balance covers it."""
        if self.balance(now) < 1.0 - _ROUNDING:
            return False
        self._events.record(False, now)  # noqa: FBT003 - see the constructor
        return True

    def balance(self, now: float) -> float:
        """Return the retries that could be made now; below zero after the calls that earned some are forgotten."""
        withdrawals = self._events.failures(now)
        return self._reserve + self._ratio * (self._events.total(now) - withdrawals) - withdrawals

    def __repr__(self) -> str:
        return f"<RetryBudget ratio={self._ratio:g} reserve={self._reserve:g} {self._events!r}>"
