"""How the aggregates reach an OpenTelemetry collector: as MetricsData, through the official OTLP/HTTP exporter."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Final

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from mesh.mechanism.histogram import HistogramSnapshot
from mesh.telemetry.aggregate import Series
from mesh.telemetry.instruments import Instrument, Kind
from mesh.telemetry.telemetry import Telemetry
from mesh.telemetry.tracing import SCHEMA, SCOPE

INTERVAL: Final = 10.0
"""Seconds between two exports."""
_JOIN: Final = 2.0
_NANOS: Final = 1_000_000_000

_log = logging.getLogger("mesh")


def metrics_data(series: Iterable[Series], resource: Resource, *, since: float, now: float) -> MetricsData:
    """Return the series as the SDK would hand them to an exporter: cumulative since `since`, seconds since 1970."""
    start, end = int(since * _NANOS), int(now * _NANOS)
    grouped: dict[str, tuple[Instrument, list[Series]]] = {}
    for one in series:
        grouped.setdefault(one.instrument.name, (one.instrument, []))[1].append(one)
    metrics = [_metric(instrument, members, start, end) for instrument, members in grouped.values()]
    scope = ScopeMetrics(InstrumentationScope(SCOPE, schema_url=SCHEMA), metrics, SCHEMA)
    return MetricsData([ResourceMetrics(resource, [scope], resource.schema_url)])


def _metric(instrument: Instrument, series: list[Series], start: int, end: int) -> Metric:
    if instrument.kind is Kind.HISTOGRAM:
        points = [
            _point(one, one.value, start, end) for one in series if isinstance(one.value, HistogramSnapshot)
        ]
        data: Histogram | Sum | Gauge = Histogram(points, AggregationTemporality.CUMULATIVE)
    else:
        numbers = [
            NumberDataPoint(dict(one.attributes), start, end, one.value)
            for one in series
            if not isinstance(one.value, HistogramSnapshot)
        ]
        if instrument.kind is Kind.GAUGE:
            data = Gauge(numbers)
        else:
            data = Sum(numbers, AggregationTemporality.CUMULATIVE, instrument.kind is Kind.COUNTER)
    return Metric(instrument.name, instrument.description, instrument.unit, data)


def _point(series: Series, value: HistogramSnapshot, start: int, end: int) -> HistogramDataPoint:
    return HistogramDataPoint(
        dict(series.attributes),
        start,
        end,
        value.total,
        value.sum,
        value.counts,
        value.bounds,
        min=None,  # type: ignore[arg-type]  # optional in OTLP; cumulative extremes would only tell of the past
        max=None,  # type: ignore[arg-type]  # as above
    )


class MetricsExport:
    """Hands the aggregates to an exporter now and then, from a thread of its own, and a last time when stopped."""

    def __init__(
        self, telemetry: Telemetry, exporter: MetricExporter, resource: Resource, interval: float = INTERVAL
    ) -> None:
        self._telemetry = telemetry
        self._exporter = exporter
        self._resource = resource
        self._interval = interval
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mesh-otlp-metrics", daemon=True)
        self._thread.start()

    def export(self) -> None:
        """Hand over every series as it is now."""
        telemetry = self._telemetry
        try:
            now = telemetry.wall()
            self._exporter.export(
                metrics_data(telemetry.snapshot(), self._resource, since=telemetry.since, now=now)
            )
        except Exception:  # noqa: BLE001 - the thread must live: the next export brings the same numbers, and more
            _log.exception("metrics could not be exported")

    def stop(self) -> None:
        """Export a last time and end the thread."""
        self._stopping.set()
        self._thread.join(_JOIN)
        self._exporter.shutdown()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            self.export()
        self.export()

    def __repr__(self) -> str:
        return f"<MetricsExport every {self._interval:g}s to {self._exporter!r}>"
