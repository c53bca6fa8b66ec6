"""What stages are built from, so that a stage knows neither exporters nor SDKs: aggregates, tracing, the log's sink."""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mesh.telemetry.aggregate import Aggregates, Series, add_up
from mesh.telemetry.durations import Durations, Recorder
from mesh.telemetry.instruments import ACCESS_LOG_DROPPED, Attributes, Instrument
from mesh.telemetry.mirror import Mirror
from mesh.telemetry.selection import Selection
from mesh.telemetry.sink import LineSink
from mesh.telemetry.tracing import Tracing

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider


class Telemetry:
    """Everything one process measures, traces and logs.

    As it is made by default it needs no SDK and starts nothing: metrics are aggregated here and nobody reads them,
    traces go to whatever OpenTelemetry provider the process has, access log lines go to standard error.

    `meter_provider` gets every metric through the OpenTelemetry API as well. `wall` is seconds since 1970.
    """

    __slots__ = (
        "_apart",
        "_closing",
        "_mirror",
        "aggregates",
        "log",
        "metrics_address",
        "selection",
        "since",
        "tracing",
        "wall",
    )

    def __init__(
        self,
        *,
        tracing: Tracing | None = None,
        selection: Selection | None = None,
        log: LineSink | None = None,
        meter_provider: MeterProvider | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.aggregates = Aggregates()
        self.tracing = Tracing() if tracing is None else tracing
        self.selection = Selection() if selection is None else selection
        self.log = LineSink(sys.stderr) if log is None else log
        self.wall = wall
        self.since = wall()
        """When counting began."""
        self.metrics_address = ""
        """`HOST:PORT` where `setup` serves metrics to Prometheus; empty when they are not served."""
        self._apart: list[Aggregates] = []
        self._mirror = None if meter_provider is None else Mirror(self.snapshot, meter_provider)
        self._closing: list[Callable[[], None]] = [self.log.flush]
        sink = self.log
        self.aggregates.observe(ACCESS_LOG_DROPPED, (), lambda: sink.dropped)

    def durations(self, instrument: Instrument, attributes: Callable[[int], Attributes]) -> Durations:
        """Return where durations are recorded; `attributes` of a status are asked for at its first sight."""
        aggregates, mirror = self.aggregates, self._mirror

        def make(code: int) -> Recorder:
            ours = aggregates.histogram(instrument, attributes(code))
            return ours if mirror is None else mirror.mirrored(ours, instrument, attributes(code))

        return Durations(make)

    def apart(self) -> Telemetry:
        """Return the same telemetry with numbers of its own, for those who do not record where this one's do.

        Recording takes no lock, so numbers must not be shared by threads; `snapshot` adds them up.
        """
        other = copy.copy(self)
        other.aggregates = Aggregates()
        other._apart = []  # noqa: SLF001 - one of us
        self._apart.append(other.aggregates)
        return other

    def snapshot(self) -> list[Series]:
        """Return every series as it is now."""
        return add_up([self.aggregates, *self._apart])

    def at_close(self, action: Callable[[], None]) -> None:
        """Have `action` called by `close`, before those asked for earlier."""
        self._closing.append(action)

    def close(self) -> None:
        """Hand over everything that is buffered and stop what `setup` started. Idempotent."""
        while self._closing:
            self._closing.pop()()

    def __repr__(self) -> str:
        return f"<Telemetry {self.aggregates!r} {self.tracing!r}>"
