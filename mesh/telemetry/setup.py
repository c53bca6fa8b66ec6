"""What a process's telemetry is made of, by its settings: exporters, the Prometheus endpoint, sampling.

The SDK and the exporters are imported when a setting asks for them, so that a process without them needs neither.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opentelemetry import trace

from mesh.errors import ConfigError
from mesh.policy.problem import Problem
from mesh.telemetry.package import installed
from mesh.telemetry.selection import Filter, Selection, excluded_services
from mesh.telemetry.telemetry import Telemetry
from mesh.telemetry.tracing import Tracing

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

METRICS_LISTEN: Final = "MESH_METRICS_LISTEN"
"""Set by `mesh up` for each process: where to serve Prometheus metrics, whatever the settings say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """Where metrics and traces go, with the defaults and meanings of mesh.v1.Telemetry."""

    prometheus_listen: str = ""
    otlp_endpoint: str = ""
    trace_ratio: float = 0.01
    console: bool = False


def setup(
    settings: TelemetrySettings,
    *,
    name: str,
    environ: Mapping[str, str],
    filter_: Filter | None = None,
    meter_provider: MeterProvider | None = None,
) -> Telemetry:
    """Make the telemetry of a process called `name`, start its exporters, and have `telemetry.close()` end them.

    With `otlp_endpoint` or `console` the process gets an OpenTelemetry provider of ours, which samples by
    `trace_ratio`. A provider that the application has set before stays, with its own sampler and exporters; so does
    one that it sets later, where there is none of ours.

    `filter_` says which methods get spans, as `opentelemetry.instrumentation.grpc.filters` make them. With a
    `meter_provider` metrics go through the OpenTelemetry API as well, which costs some microseconds for each call.

    Raises ConfigError when a setting needs a package that is not installed, or an address that cannot be had.
    """
    selection = Selection(filter_, excluded_services(environ))
    listen = environ.get(METRICS_LISTEN) or settings.prometheus_listen
    _check_installed(settings, listen)
    free = isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    ours = free and (bool(settings.otlp_endpoint) or settings.console)
    tracing = Tracing(ratio=settings.trace_ratio) if ours else Tracing()
    telemetry = Telemetry(tracing=tracing, selection=selection, meter_provider=meter_provider)
    if ours:
        provider = _provider(settings, name)
        trace.set_tracer_provider(provider)
        telemetry.at_close(provider.shutdown)
    if settings.otlp_endpoint:
        _export_metrics(telemetry, settings.otlp_endpoint, name)
    if listen:
        _serve(telemetry, listen)
    return telemetry


def _provider(settings: TelemetrySettings, name: str) -> TracerProvider:
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource

    from mesh.telemetry.export import spans

    provider = spans.tracer_provider(Resource.create({SERVICE_NAME: name}), settings.trace_ratio)
    if settings.otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint.rstrip('/')}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter))
    if settings.console:
        provider.add_span_processor(spans.console(sys.stderr))
    return provider


def _export_metrics(telemetry: Telemetry, endpoint: str, name: str) -> None:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource

    from mesh.telemetry.export.otlp import MetricsExport

    exporter = OTLPMetricExporter(endpoint=f"{endpoint.rstrip('/')}/v1/metrics")
    export = MetricsExport(telemetry, exporter, Resource.create({SERVICE_NAME: name}))
    telemetry.at_close(export.stop)


def _serve(telemetry: Telemetry, listen: str) -> None:
    from mesh.telemetry.export.prometheus import serve_prometheus

    try:
        telemetry.metrics_address, stop = serve_prometheus(telemetry, listen)
    except OSError as error:
        telemetry.close()
        message = f'"{listen}" cannot be listened on: {error.strerror or error}'
        raise ConfigError([Problem("telemetry.prometheus_listen", message)]) from error
    telemetry.at_close(stop)


def _check_installed(settings: TelemetrySettings, listen: str) -> None:
    needs = []
    if listen:
        needs.append(("prometheus_listen", "prometheus_client", "metrics"))
    if settings.otlp_endpoint:
        needs.append(("otlp_endpoint", "opentelemetry.exporter.otlp.proto.http", "tracing"))
    if settings.console:
        needs.append(("console", "opentelemetry.sdk", "tracing"))
    problems = [
        Problem(
            f"telemetry.{field}", f"needs {module}, which is not installed; pip install 'grpc-mesh[{extra}]'"
        )
        for field, module, extra in needs
        if not installed(module)
    ]
    if problems:
        raise ConfigError(problems)
