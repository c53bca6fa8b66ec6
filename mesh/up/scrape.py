"""What a process's Prometheus page says about the calls it has handled."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping

from mesh.mechanism.histogram import HistogramSnapshot

_FAMILIES = ("rpc_server_call_duration_seconds", "http_server_request_duration_seconds")
"""Services handle calls, the gateway handles requests."""
_LINE = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)_(?P<kind>bucket|count)\{(?P<labels>.*)\} (?P<value>\S+)"
)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
# The statuses that mesh.v1.CircuitBreaker counts as failures: those that are the service's fault.
_FAILURES = frozenset(
    ("UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS")
)


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """Counters of one process since it began."""

    calls: float = 0.0
    failures: float = 0.0
    buckets: Mapping[float, float] = dataclasses.field(default_factory=dict)
    """Calls that took at most so many seconds."""


def read(page: str) -> Sample:
    """Read the text format; health checks and reflection are not counted as calls."""
    calls = failures = 0.0
    buckets: dict[float, float] = {}
    for line in page.splitlines():
        match = _LINE.fullmatch(line)
        if match is None or match["name"] not in _FAMILIES:
            continue
        labels = dict(_LABEL.findall(match["labels"]))
        if labels.get("rpc_method", "").lstrip("/").startswith("grpc."):
            continue
        value = float(match["value"])
        if match["kind"] == "bucket":
            edge = float(labels["le"])
            buckets[edge] = buckets.get(edge, 0.0) + value
            continue
        calls += value
        status = labels.get("rpc_response_status_code") or labels.get("http_response_status_code", "")
        if status in _FAILURES or status.startswith("5"):
            failures += value
    return Sample(calls, failures, buckets)


def between(old: Sample, new: Sample) -> Sample:
    """Return what happened from one sample to the next; a process that was started again counts from zero."""
    if new.calls < old.calls:
        return new
    buckets = {edge: value - old.buckets.get(edge, 0.0) for edge, value in new.buckets.items()}
    return Sample(new.calls - old.calls, max(0.0, new.failures - old.failures), buckets)


def add(one: Sample, other: Sample) -> Sample:
    """Return two processes' calls together."""
    edges = sorted({*one.buckets, *other.buckets})
    buckets = {edge: one.buckets.get(edge, 0.0) + other.buckets.get(edge, 0.0) for edge in edges}
    return Sample(one.calls + other.calls, one.failures + other.failures, buckets)


def quantile(sample: Sample, share: float) -> float | None:
    """Return the time that this share of calls took at most, as far as the buckets tell; None without calls."""
    edges = sorted(edge for edge in sample.buckets if edge < math.inf)
    total = max(sample.buckets.values(), default=0.0)
    if not edges or total <= 0.0:
        return None
    cumulative = (0.0, *(sample.buckets[edge] for edge in edges), total)
    counts = tuple(max(0, round(upper - lower)) for lower, upper in itertools.pairwise(cumulative))
    return HistogramSnapshot(tuple(edges), counts, sum=0.0).quantile(share)
