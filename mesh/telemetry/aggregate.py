"""What has been measured in this process, by metric and attributes: the numbers every exporter reads.

Recording is a bisect or an addition on an object that its user keeps; the dictionary is asked when a chain is compiled
and when a metric is read. Recording belongs to one event loop; reading may happen in any thread and sees each number
as it is at that moment, without a lock: a histogram's sum may be one value ahead of its counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mesh.mechanism.histogram import Histogram, HistogramSnapshot
from mesh.telemetry.instruments import Attributes, Instrument


class Number:
    """A counter, up or down."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def __repr__(self) -> str:
        return f"<Number {self.value}>"


class Series(NamedTuple):
    """One series of one metric, as it was when it was read."""

    instrument: Instrument
    attributes: Attributes
    value: HistogramSnapshot | float


class Aggregates:
    """The numbers, by metric and attributes. The same metric and attributes are always the same number.

    Bounded by the methods, targets and statuses a process sees.
    """

    __slots__ = ("_histograms", "_numbers", "_observed")

    def __init__(self) -> None:
        self._histograms: dict[tuple[str, Attributes], tuple[Instrument, Histogram]] = {}
        self._numbers: dict[tuple[str, Attributes], tuple[Instrument, Number]] = {}
        self._observed: dict[tuple[str, Attributes], tuple[Instrument, Callable[[], float]]] = {}

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
        self._observed[instrument.name, attributes] = instrument, read

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
            Series(instrument, attributes, read())
            for (_, attributes), (instrument, read) in list(self._observed.items())
        ]
        return series

    def __repr__(self) -> str:
        return f"<Aggregates {len(self._histograms) + len(self._numbers) + len(self._observed)} series>"
