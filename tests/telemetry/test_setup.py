"""What a process's settings start, and that closing ends it and hands everything over."""

from __future__ import annotations

import io
import subprocess
import sys
import urllib.request

import pytest
from opentelemetry import trace as otel
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mesh.call import Side
from mesh.errors import ConfigError
from mesh.policy.observe import TracePolicy
from mesh.policy.policy import Policy
from mesh.stage import trace
from mesh.telemetry import setup as module
from mesh.telemetry.export import spans
from mesh.telemetry.setup import TelemetrySettings, setup
from mesh.telemetry.telemetry import Telemetry
from mesh.telemetry.tracing import Tracing
from tests.telemetry.drive import drive, scope
from tests.telemetry.test_export import SOON, Collector

OTLP = "opentelemetry.exporter.otlp.proto.http"


def test_nothing_is_started_by_default():
    telemetry = setup(TelemetrySettings(), name="catalog", environ={})

    assert telemetry.metrics_address == ""
    assert telemetry.tracing.ratio is None
    telemetry.close()


def test_mesh_up_says_where_metrics_are_served():
    settings = TelemetrySettings(prometheus_listen="127.0.0.1:1")
    telemetry = setup(settings, name="catalog", environ={"MESH_METRICS_LISTEN": "127.0.0.1:0"})
    try:
        with urllib.request.urlopen(f"http://{telemetry.metrics_address}/metrics", timeout=SOON) as answer:
            assert answer.status == 200
    finally:
        telemetry.close()
        telemetry.close()


def test_an_address_that_is_taken_is_a_problem_of_the_settings():
    first = setup(TelemetrySettings(prometheus_listen="127.0.0.1:0"), name="a", environ={})
    try:
        with pytest.raises(ConfigError) as caught:
            setup(TelemetrySettings(prometheus_listen=first.metrics_address), name="b", environ={})
    finally:
        first.close()

    assert str(caught.value) == (
        f'telemetry.prometheus_listen: "{first.metrics_address}" cannot be listened on: Address already in use'
    )


def test_packages_that_are_missing_are_all_named_before_anything_starts(monkeypatch):
    monkeypatch.setattr(module, "installed", lambda name: False)
    settings = TelemetrySettings(
        prometheus_listen="127.0.0.1:0", otlp_endpoint="http://127.0.0.1:1", console=True
    )

    with pytest.raises(ConfigError) as caught:
        setup(settings, name="catalog", environ={})

    assert str(caught.value).splitlines() == [
        "telemetry.prometheus_listen: needs prometheus_client, which is not installed; pip install 'grpc-mesh[metrics]'",
        f"telemetry.otlp_endpoint: needs {OTLP}, which is not installed; pip install 'grpc-mesh[tracing]'",
        "telemetry.console: needs opentelemetry.sdk, which is not installed; pip install 'grpc-mesh[tracing]'",
    ]


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_our_provider_keeps_our_draw_and_draws_for_the_applications_own_roots(ratio):
    exporter = InMemorySpanExporter()
    provider = spans.tracer_provider(Resource({}), ratio)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    for drawn in (0.0, 0.9):
        tracing = Tracing(provider=provider, ratio=0.5, random=lambda drawn=drawn: drawn)
        stage = trace.build(scope(Policy(trace=TracePolicy()), Telemetry(tracing=tracing), Side.SERVER))
        assert stage is not None
        drive([stage])

    assert len(exporter.get_finished_spans()) == 1
    provider.get_tracer("app").start_span("own").end()
    assert len(exporter.get_finished_spans()) == 1 + ratio


def test_the_console_prints_one_line_for_each_span():
    stream = io.StringIO()
    provider = spans.tracer_provider(Resource({}), 1.0)
    provider.add_span_processor(spans.console(stream))
    tracer = provider.get_tracer("mesh")

    span = tracer.start_span("a.B/C", kind=otel.SpanKind.SERVER, start_time=10**9)
    span.set_attribute("rpc.response.status_code", "OK")
    span.end(10**9 + 2_500_000)

    assert stream.getvalue() == (
        f"trace {span.get_span_context().trace_id:032x} server   a.B/C{' ' * 39}     2.50 ms  OK\n"
    )


PROGRAM = """
import sys
from mesh.call import Side
from mesh.policy.observe import MetricsPolicy, TracePolicy
from mesh.policy.policy import Policy
from mesh.stage import metrics, trace
from mesh.telemetry.setup import TelemetrySettings, setup
from tests.telemetry.drive import drive, scope

settings = TelemetrySettings(otlp_endpoint=sys.argv[1], trace_ratio=1.0, console=True)
telemetry = setup(settings, name="catalog", environ={})
place = scope(Policy(trace=TracePolicy(), metrics=MetricsPolicy()), telemetry, Side.SERVER)
drive([trace.build(place), metrics.build(place)])
telemetry.close()
"""


def python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, since OpenTelemetry's providers are the process's and set once."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_a_process_hands_its_spans_and_metrics_to_the_collector_when_it_closes():
    collector = Collector()
    try:
        done = python(PROGRAM, collector.endpoint)
        traces = ExportTraceServiceRequest.FromString(collector.wait("/v1/traces"))
        metrics = ExportMetricsServiceRequest.FromString(collector.wait("/v1/metrics"))
    finally:
        collector.close()

    (span,) = traces.resource_spans[0].scope_spans[0].spans
    assert span.name == "shop.v1.Catalog/GetProduct"
    resource = {pair.key: pair.value.string_value for pair in traces.resource_spans[0].resource.attributes}
    assert resource["service.name"] == "catalog"
    names = {metric.name for metric in metrics.resource_metrics[0].scope_metrics[0].metrics}
    assert "rpc.server.call.duration" in names
    assert "shop.v1.Catalog/GetProduct" in done.stderr


@pytest.mark.slow
def test_an_applications_own_provider_stays_and_samples():
    python("""
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import TracerProvider
from mesh.telemetry.setup import TelemetrySettings, setup

mine = TracerProvider()
otel.set_tracer_provider(mine)
telemetry = setup(TelemetrySettings(console=True, trace_ratio=0.0), name="catalog", environ={})
assert otel.get_tracer_provider() is mine
assert telemetry.tracing.ratio is None
assert telemetry.tracing.ready(0.0)
""")


@pytest.mark.slow
def test_the_mesh_needs_neither_sdk_nor_exporters():
    python("""
import sys
import mesh
import mesh.telemetry.setup
for name in ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.instrumentation", "prometheus_client"):
    assert name not in sys.modules, name
""")
