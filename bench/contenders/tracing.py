"""The same OpenTelemetry SDK for everybody who traces: one new trace in a hundred is sampled, spans go nowhere."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from mesh.binding.runtime import Runtime
from mesh.telemetry.telemetry import Telemetry
from mesh.telemetry.tracing import Tracing

RATIO = 0.01


def install() -> None:
    """Give this process an SDK, so that tracing costs what it costs where somebody looks at traces."""
    trace.set_tracer_provider(TracerProvider(sampler=ParentBased(TraceIdRatioBased(RATIO))))


def runtime() -> Runtime:
    """Return a mesh with default policies, set up to trace as an environment with an `otlp_endpoint` is."""
    install()
    return Runtime(telemetry=Telemetry(tracing=Tracing(ratio=RATIO)))
