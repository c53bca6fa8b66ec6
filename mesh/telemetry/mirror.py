"""How an application's own OpenTelemetry meters see our metrics: histograms as they are recorded, the rest when asked.

Opt-in, since recording through the API costs tens of times what our own histogram does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from opentelemetry.metrics import CallbackOptions, Observation

from mesh.mechanism.histogram import Histogram, HistogramSnapshot
from mesh.telemetry.aggregate import Series
from mesh.telemetry.instruments import INSTRUMENTS, Attributes, Instrument, Kind
from mesh.telemetry.tracing import SCHEMA, SCOPE

if TYPE_CHECKING:
    from opentelemetry import metrics


class Mirrored:
    """Records each value twice."""

    __slots__ = ("_attributes", "_ours", "_theirs")

    def __init__(self, ours: Histogram, theirs: metrics.Histogram, attributes: Attributes) -> None:
        self._ours = ours
        self._theirs = theirs
        self._attributes = dict(attributes)

    def record(self, value: float) -> None:
        """Count one value."""
        self._ours.record(value)
        self._theirs.record(value, self._attributes)

    def __repr__(self) -> str:
        return f"<Mirrored {self._ours!r}>"


class Mirror:
    """Every metric once more, made by the meter of an application's provider."""

    __slots__ = ("_histograms", "_snapshot")

    def __init__(self, snapshot: Callable[[], list[Series]], provider: metrics.MeterProvider) -> None:
        meter = provider.get_meter(SCOPE, schema_url=SCHEMA)
        self._snapshot = snapshot
        self._histograms: dict[str, metrics.Histogram] = {}
        for one in INSTRUMENTS:
            name, unit, description = one.name, one.unit, one.description
            if one.kind is Kind.HISTOGRAM:
                self._histograms[name] = meter.create_histogram(
                    name, unit, description, explicit_bucket_boundaries_advisory=one.bounds
                )
            elif one.kind is Kind.COUNTER:
                meter.create_observable_counter(name, [self._reader(one)], unit, description)
            elif one.kind is Kind.UP_DOWN_COUNTER:
                meter.create_observable_up_down_counter(name, [self._reader(one)], unit, description)
            else:
                meter.create_observable_gauge(name, [self._reader(one)], unit, description)

    def mirrored(self, ours: Histogram, instrument: Instrument, attributes: Attributes) -> Mirrored:
        """Return what records into our histogram and theirs."""
        return Mirrored(ours, self._histograms[instrument.name], attributes)

    def _reader(self, instrument: Instrument) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            for series in self._snapshot():
                if series.instrument is instrument and not isinstance(series.value, HistogramSnapshot):
                    yield Observation(series.value, dict(series.attributes))

        return observe

    def __repr__(self) -> str:
        return f"<Mirror {len(self._histograms)} histograms>"
