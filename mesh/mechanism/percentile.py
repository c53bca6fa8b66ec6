"""Decides what a percentile of recent values is, from counts in buckets that grow by a tenth.

Rules. The estimate is the upper bound of the bucket that holds the percentile: of values between `LEAST` and `MOST` it
is never below the exact percentile (the smallest recorded value with that share of all values at or below it) and at
most a tenth above it. Smaller values count as `LEAST`, larger ones as `MOST`. When the weight of all values reaches
`memory`, every count is halved: what is older than about `memory` values fades, however slowly they come.

    count  3 . 12 40 88 51 9 . . 2 .        the values, each bucket a tenth wider than the one before
                          ^ the mark: the first bucket with the wanted share of the weight at or below it

Recording moves the mark by the few buckets that one value can move it, so both recording and asking take constant time;
memory is one number a bucket.

Limits. A jump in what is measured is believed in after `memory` values, not at once. A clock that goes back records
`LEAST`.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

LEAST: Final = 0.0001
MOST: Final = 60.0
_GROWTH: Final = 1.1


def _bounds() -> tuple[float, ...]:
    bounds = [LEAST]
    while bounds[-1] * _GROWTH < MOST:
        bounds.append(bounds[-1] * _GROWTH)
    return (*bounds, MOST)


_BOUNDS: Final = _bounds()


class Percentile:
    """Estimates one percentile of the recent values. Not thread-safe."""

    __slots__ = ("_below", "_counts", "_mark", "_memory", "_share", "_total", "seen")

    def __init__(self, *, percentile: float, memory: int = 1000) -> None:
        """Watch a percentile above 0 and below 100; `memory` is at least 2."""
        self._share = percentile / 100.0
        self._memory = memory
        self._counts = [0.0] * len(_BOUNDS)
        self._total = 0.0
        self._mark = 0
        self._below = 0.0
        self.seen = 0
        """Values recorded, faded ones included."""

    def record(self, value: float) -> None:
        """Count one value."""
        bucket = min(bisect_left(_BOUNDS, value), len(_BOUNDS) - 1)
        self._counts[bucket] += 1.0
        self._total += 1.0
        self.seen += 1
        if bucket < self._mark:
            self._below += 1.0
        if self._total >= self._memory:
            self._fade()
        self._settle()

    def estimate(self) -> float:
        """Return the percentile; `LEAST` when nothing was recorded."""
        return _BOUNDS[self._mark]

    def _fade(self) -> None:
        self._counts = [count / 2.0 for count in self._counts]
        # Summed anew: halves of halves would drift.
        self._total = sum(self._counts)
        self._below = sum(self._counts[: self._mark])

    def _settle(self) -> None:
        """Move the mark to where the wanted share lies."""
        wanted = self._share * self._total
        while self._below >= wanted:
            self._mark -= 1
            self._below -= self._counts[self._mark]
        while self._below + self._counts[self._mark] < wanted:
            self._below += self._counts[self._mark]
            self._mark += 1

    def __repr__(self) -> str:
        return f"<Percentile {self._share:.1%} is {self.estimate():.3g} after {self.seen}>"
