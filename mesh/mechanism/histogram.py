"""Decides which bucket a value falls into, and what quantiles the buckets tell.

Written here because it is on every call's path: a bisect and two additions cost a fraction of what metric libraries
take for the same (the telemetry package hands snapshots to those).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass


class Histogram:
    """Counts values in buckets whose upper bounds are inclusive, as in OpenTelemetry and Prometheus. Not thread-safe.

    `bounds` are at least one, ascending; one more bucket takes what exceeds the last. `bounds`, `counts` (a count for
    each bucket, not cumulative) and `sum` are for reading only.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, *, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    @property
    def total(self) -> int:
        """The number of values recorded."""
        return sum(self.counts)

    def record(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def snapshot(self) -> HistogramSnapshot:
        """Return what has been recorded so far, as a value that no later `record` changes."""
        return HistogramSnapshot(self.bounds, tuple(self.counts), self.sum)

    def __repr__(self) -> str:
        return f"<Histogram {self.total} values, sum={self.sum:g}, {len(self.counts)} buckets>"


@dataclass(frozen=True, slots=True)
class HistogramSnapshot:
    """What a histogram held at one moment."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    """A count for each bucket, not cumulative, the last for what exceeds every bound."""
    sum: float

    @property
    def total(self) -> int:
        """The number of values recorded."""
        return sum(self.counts)

    def quantile(self, q: float) -> float:
        """Estimate the value below which the share `q` (0 to 1) of all values lies; NaN without values.

        Interpolates within the bucket as Prometheus' histogram_quantile does: the first bucket starts at zero (or
        at its bound, if that is negative), and beyond the last bound nothing is known but the bound.
        """
        rank = q * self.total
        below = 0
        lower = min(0.0, self.bounds[0])
        for upper, count in zip(self.bounds, self.counts, strict=False):
            if count and below + count >= rank:
                return lower + (upper - lower) * (rank - below) / count
            below += count
            lower = upper
        return lower if self.counts[-1] else math.nan
