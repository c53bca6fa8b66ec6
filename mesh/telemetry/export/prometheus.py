"""How the aggregates look to Prometheus, and the endpoint that serves them.

Names follow OpenTelemetry's rules for Prometheus: dots become underscores, the unit is spelled out and appended, and
counters end in `_total`: `rpc.server.call.duration` in `s` is `rpc_server_call_duration_seconds`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import accumulate
from typing import Final

from prometheus_client import (
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
    start_http_server,
)
from prometheus_client.core import Metric
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString

from mesh.mechanism.histogram import HistogramSnapshot
from mesh.telemetry.aggregate import Series
from mesh.telemetry.instruments import Instrument, Kind
from mesh.telemetry.telemetry import Telemetry

_UNITS: Final = {"s": "seconds"}
_TYPES: Final = {
    Kind.HISTOGRAM: "histogram",
    Kind.COUNTER: "counter",
    Kind.UP_DOWN_COUNTER: "gauge",
    Kind.GAUGE: "gauge",
}


class Aggregated(Collector):
    """Reads the aggregates whenever Prometheus asks."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def collect(self) -> Iterable[Metric]:
        """Return one family for each metric that has been measured."""
        return _families(self._telemetry.snapshot())


def _families(found: Iterable[Series]) -> Iterable[Metric]:
    families: dict[str, Metric] = {}
    for series in found:
        instrument = series.instrument
        family = families.get(instrument.name)
        if family is None:
            family = Metric(base_name(instrument), instrument.description, _TYPES[instrument.kind])
            families[instrument.name] = family
        _add(family, series)
    return families.values()


class _Several(Collector):
    """The metrics of several processes, told apart by a label."""

    def __init__(
        self, parts: Mapping[str, Iterable[Series]], label: str, processes: Mapping[str, int]
    ) -> None:
        self._parts = parts
        self._label = label
        self._processes = processes

    def collect(self) -> Iterable[Metric]:
        yield from _families(
            series._replace(attributes=((self._label, name), *series.attributes))
            for name, part in self._parts.items()
            for series in part
        )
        families: dict[str, Metric] = {}
        for name, process in self._processes.items():
            for family in ProcessCollector(pid=partial(int, process), registry=None).collect():
                whole = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    whole.add_sample(sample.name, {self._label: name, **sample.labels}, sample.value)
        yield from families.values()


def render(parts: Mapping[str, Iterable[Series]], label: str, processes: Mapping[str, int]) -> bytes:
    """Return the metrics of several processes in Prometheus' text form, and what the system knows of the processes.

    Each is told from the others by its name in `parts` and `processes`, as the value of `label`.
    """
    registry = CollectorRegistry()
    registry.register(_Several(parts, label, processes))
    text: bytes = generate_latest(registry)
    return text


def base_name(instrument: Instrument) -> str:
    """Return the family's name, without `_total`, `_bucket` and the like."""
    name = instrument.name.replace(".", "_")
    unit = _UNITS.get(instrument.unit)
    return f"{name}_{unit}" if unit else name


def _add(family: Metric, series: Series) -> None:
    labels = {key.replace(".", "_"): value for key, value in series.attributes}
    value = series.value
    if isinstance(value, HistogramSnapshot):
        edges = (*map(floatToGoString, value.bounds), "+Inf")
        total = 0
        for edge, total in zip(edges, accumulate(value.counts), strict=True):
            family.add_sample(f"{family.name}_bucket", {**labels, "le": edge}, total)
        family.add_sample(f"{family.name}_count", labels, total)
        family.add_sample(f"{family.name}_sum", labels, value.sum)
    elif family.type == "counter":
        family.add_sample(f"{family.name}_total", labels, value)
    else:
        family.add_sample(family.name, labels, value)


def registry_of(telemetry: Telemetry) -> CollectorRegistry:
    """Return a registry of our metrics and those of the process, the interpreter and its garbage collector."""
    registry = CollectorRegistry()
    registry.register(Aggregated(telemetry))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def serve_prometheus(telemetry: Telemetry, listen: str) -> tuple[str, Callable[[], None]]:
    """Serve `/metrics` at `HOST:PORT` from a thread; port 0 takes a free one. Return the address, and what stops it.

    Raises OSError when the address cannot be had. Each process has its own endpoint: workers do not share one.
    """
    host, _, port = listen.rpartition(":")
    server, thread = start_http_server(int(port), host.strip("[]"), registry_of(telemetry))

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return f"{host}:{server.server_port}", stop
