"""Where spans go: an OpenTelemetry SDK provider that samples as the mesh decides and exports to OTLP or a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TextIO

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_ON,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from mesh.telemetry.tracing import DECIDED

_WIDTH: Final = 44


class RootSampler(Sampler):
    """Samples new traces by ratio, except those for which the mesh has drawn already: drawing twice would square it."""

    def __init__(self, ratio: float) -> None:
        self._ratio = TraceIdRatioBased(ratio)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide about a root span."""
        decided = parent_context is not None and DECIDED in parent_context
        sampler: Sampler = ALWAYS_ON if decided else self._ratio
        return sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """Name the sampler, as the SDK asks."""
        return f"MeshRoot{{{self._ratio.get_description()}}}"


def tracer_provider(resource: Resource, ratio: float) -> TracerProvider:
    """Return a provider that keeps callers' decisions and samples new traces by ratio; it exports nothing yet."""
    return TracerProvider(sampler=ParentBased(RootSampler(ratio)), resource=resource)


def line(span: ReadableSpan) -> str:
    """Render a finished span as one line for a terminal: trace, kind, name, time, status."""
    context = span.get_span_context()
    took = ((span.end_time or 0) - (span.start_time or 0)) / 1e6
    status = (span.attributes or {}).get("rpc.response.status_code", span.status.status_code.name)
    trace_id = f"{context.trace_id:032x}" if context is not None else ""
    return f"trace {trace_id} {span.kind.name.lower():<8} {span.name:<{_WIDTH}} {took:8.2f} ms  {status}\n"


def console(stream: TextIO) -> SimpleSpanProcessor:
    """Return what prints each span when it ends."""
    return SimpleSpanProcessor(ConsoleSpanExporter(out=stream, formatter=line))
