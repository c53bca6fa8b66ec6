"""What has been measured in this process, by metric and attributes: the numbers every exporter reads.

Recording is a bisect or an addition on an object that its user keeps; the dictionary is asked when a chain is compiled
and when a metric is read. Recording belongs to one event loop; reading may happen in any thread and sees each number
as it is at that moment, without a lock: a histogram's sum may be one value ahead of its counts.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from operator import add
from typing import NamedTuple

from mesh.mechanism.histogram import Histogram, HistogramSnapshot
from mesh.telemetry.instruments import Attributes, Instrument, Kind


class Number:
    """A counter, up or down."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def __repr__(self) -> str:
        return f"<Number {self.value}>"


class _Gauge(NamedTuple):
    """Something that is asked for its value when the metrics are read, and on whose behalf."""

    instrument: Instrument
    read: Callable[[], float]
    owner: object


class Series(NamedTuple):
    """One series of one metric, as it was when it was read."""

    instrument: Instrument
    attributes: Attributes
    value: HistogramSnapshot | float


class Aggregates:
    """The numbers, by metric and attributes. The same metric and attributes are always the same number.

    Bounded by the methods, targets and statuses a process sees.
    """

    __slots__ = ("_asked", "_histograms", "_lock", "_numbers", "_observed", "_owner")

    def __init__(self) -> None:
        self._histograms: dict[tuple[str, Attributes], tuple[Instrument, Histogram]] = {}
        self._numbers: dict[tuple[str, Attributes], tuple[Instrument, Number]] = {}
        self._observed: dict[tuple[str, Attributes], _Gauge] = {}
        self._lock = threading.RLock()
        self._owner: object = None
        self._asked: set[tuple[str, Attributes]] | None = None

    def histogram(self, instrument: Instrument, attributes: Attributes) -> Histogram:
        """Return the histogram to record into."""
        key = instrument.name, attributes
        found = self._histograms.get(key)
        if found is None:
            found = self._histograms[key] = instrument, Histogram(bounds=instrument.bounds)
        return found[1]

    def number(self, instrument: Instrument, attributes: Attributes) -> Number:
        """Return the counter to add to."""
        key = instrument.name, attributes
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = instrument, Number()
        return found[1]

    def observe(self, instrument: Instrument, attributes: Attributes, read: Callable[[], float]) -> None:
        """Ask `read`, in whichever thread reads the metrics, instead of being told; the last one asked for stays."""
        with self._lock:
            key = instrument.name, attributes
            self._observed[key] = _Gauge(instrument, read, self._owner)
            if self._asked is not None:
                self._asked.add(key)

    @contextlib.contextmanager
    def gauges(self, owner: object) -> Iterator[None]:
        """Note for whom `observe` is called inside."""
        with self._lock:
            outer, self._owner = self._owner, owner
            try:
                yield
            finally:
                self._owner = outer

    @contextlib.contextmanager
    def renewal(self, owner: object) -> Iterator[None]:
        """Keep, in the end, only those of an owner's gauges that are asked for inside; if it raises, those of before."""
        with self._lock:
            before = dict(self._observed)
            asked = self._asked = set()
            done = False
            try:
                yield
                done = True
            finally:
                self._asked = None
                self._observed = {
                    key: gauge
                    for key, gauge in (self._observed if done else before).items()
                    if not done or gauge.owner is not owner or key in asked
                }

    def snapshot(self) -> list[Series]:
        """Return every series as it is now."""
        # list() of a dictionary's items is one step for other threads; iterating over it is not.
        series = [
            Series(instrument, attributes, histogram.snapshot())
            for (_, attributes), (instrument, histogram) in list(self._histograms.items())
        ]
        series += [
            Series(instrument, attributes, number.value)
            for (_, attributes), (instrument, number) in list(self._numbers.items())
        ]
        series += [
            Series(gauge.instrument, attributes, gauge.read())
            for (_, attributes), gauge in list(self._observed.items())
        ]
        return series

    def __repr__(self) -> str:
        return f"<Aggregates {len(self._histograms) + len(self._numbers) + len(self._observed)} series>"


def add_up(parts: Sequence[Aggregates]) -> list[Series]:
    """Return every series as it is now in all of them together; of a gauge, which does not add up, the largest value."""
    if len(parts) == 1:
        return parts[0].snapshot()
    whole: dict[tuple[str, Attributes], Series] = {}
    for series in (series for part in parts for series in part.snapshot()):
        key = series.instrument.name, series.attributes
        known = whole.get(key)
        whole[key] = series if known is None else series._replace(value=_sum(known, series))
    return list(whole.values())


def _sum(one: Series, other: Series) -> HistogramSnapshot | float:
    a, b = one.value, other.value
    if isinstance(a, HistogramSnapshot) and isinstance(b, HistogramSnapshot):
        return HistogramSnapshot(a.bounds, tuple(map(add, a.counts, b.counts)), a.sum + b.sum)
    if isinstance(a, HistogramSnapshot) or isinstance(b, HistogramSnapshot):
        raise TypeError(f"{one.instrument.name} is a histogram in one part and a number in another")
    return max(a, b) if one.instrument.kind is Kind.GAUGE else a + b
