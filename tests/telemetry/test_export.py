"""What exporters say is what was measured: Prometheus text, OTLP on the wire, an application's own meters."""

from __future__ import annotations

import http.server
import threading
import urllib.request

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExporter
from opentelemetry.sdk.resources import Resource
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from mesh.call import CODE_NAMES
from mesh.telemetry import instruments
from mesh.telemetry.export.otlp import MetricsExport
from mesh.telemetry.export.prometheus import registry_of, serve_prometheus
from mesh.telemetry.telemetry import Telemetry

WHERE = (
    ("rpc.system.name", "grpc"),
    ("rpc.method", "shop.v1.Catalog/GetProduct"),
    ("mesh.target", "catalog"),
)
SOON = 5.0


def measured(**options) -> Telemetry:
    """Three calls, one in flight, one refused, one open circuit."""
    telemetry = Telemetry(wall=lambda: 1_700_000_000.0, **options)
    calls = telemetry.durations(
        instruments.CLIENT_CALL_DURATION,
        lambda code: (*WHERE, ("rpc.response.status_code", CODE_NAMES[code])),
    )
    calls[0].record(0.0005)
    calls[0].record(0.004)
    calls[14].record(99.0)
    telemetry.aggregates.number(instruments.CLIENT_ACTIVE_CALLS, WHERE).value += 1
    telemetry.aggregates.number(instruments.CLIENT_REJECTIONS, WHERE).value += 1
    telemetry.aggregates.observe(instruments.CIRCUIT_STATE, WHERE[1:], lambda: 2)
    return telemetry


class Collector:
    """An OTLP collector on a free port that keeps what it is sent."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes]] = []
        self.arrived = threading.Condition()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                with collector.arrived:
                    collector.requests.append((self.path, body))
                    collector.arrived.notify_all()
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def wait(self, path: str) -> bytes:
        with self.arrived:
            assert self.arrived.wait_for(lambda: any(where == path for where, _ in self.requests), SOON)
            return next(body for where, body in self.requests if where == path)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.close()


def test_prometheus_reads_cumulative_buckets_totals_and_gauges():
    families = {
        family.name: family
        for family in text_string_to_metric_families(generate_latest(registry_of(measured())).decode())
    }

    durations = families["rpc_client_call_duration_seconds"]
    found = {
        (
            sample.name.removeprefix(durations.name),
            sample.labels["rpc_response_status_code"],
            sample.labels.get("le"),
        ): sample.value
        for sample in durations.samples
    }
    assert durations.type == "histogram"
    assert found["_bucket", "OK", "0.0005"] == 1
    assert found["_bucket", "OK", "0.003"] == 1
    assert found["_bucket", "OK", "0.005"] == 2
    assert found["_bucket", "OK", "+Inf"] == found["_count", "OK", None] == 2
    assert found["_bucket", "UNAVAILABLE", "10.0"] == 0
    assert found["_bucket", "UNAVAILABLE", "+Inf"] == 1
    assert found["_sum", "OK", None] == pytest.approx(0.0045)
    labels = {"rpc_system_name": "grpc", "rpc_method": "shop.v1.Catalog/GetProduct", "mesh_target": "catalog"}
    for name, kind, value in (
        ("mesh_client_active_calls", "gauge", 1),
        ("mesh_client_rejections", "counter", 1),
    ):
        (sample,) = families[name].samples
        assert (kind, value, labels) == (families[name].type, sample.value, sample.labels)
    assert families["mesh_client_circuit_breaker_state"].samples[0].value == 2
    assert "process_cpu_seconds" in families


def test_the_endpoint_serves_and_stops():
    address, stop = serve_prometheus(measured(), "127.0.0.1:0")
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=SOON) as answer:
            text = answer.read().decode()
    finally:
        stop()

    assert 'rpc_client_call_duration_seconds_count{mesh_target="catalog"' in text
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://{address}/metrics", timeout=SOON)


def test_a_collector_gets_the_aggregates_over_otlp(collector):
    exporter = OTLPMetricExporter(endpoint=f"{collector.endpoint}/v1/metrics")
    export = MetricsExport(measured(), exporter, Resource({"service.name": "catalog"}), interval=60.0)

    export.stop()

    request = ExportMetricsServiceRequest.FromString(collector.wait("/v1/metrics"))
    (resource,) = request.resource_metrics
    assert {pair.key: pair.value.string_value for pair in resource.resource.attributes} == {
        "service.name": "catalog"
    }
    metrics = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    assert resource.scope_metrics[0].scope.name == "grpc-mesh"
    ok, unavailable = metrics["rpc.client.call.duration"].histogram.data_points
    assert (2, 1) == (ok.count, unavailable.count)
    assert ok.sum == pytest.approx(0.0045)
    assert list(ok.explicit_bounds) == list(instruments.SECONDS)
    assert (sum(ok.bucket_counts), len(ok.bucket_counts)) == (2, len(instruments.SECONDS) + 1)
    assert not ok.HasField("min")
    assert ok.start_time_unix_nano == 1_700_000_000 * 10**9
    rejections, active = metrics["mesh.client.rejections"].sum, metrics["mesh.client.active_calls"].sum
    assert (True, False) == (rejections.is_monotonic, active.is_monotonic)
    assert (1, 1) == (rejections.data_points[0].as_int, active.data_points[0].as_int)
    assert metrics["mesh.client.circuit_breaker.state"].gauge.data_points[0].as_int == 2
    assert metrics["rpc.client.call.duration"].unit == "s"


def test_an_export_that_fails_is_followed_by_the_next():
    class Failing(MetricExporter):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def export(self, metrics_data, timeout_millis=10_000, **kwargs):
            self.calls += 1
            raise RuntimeError("boom")

        def force_flush(self, timeout_millis=10_000):
            return True

        def shutdown(self, timeout_millis=30_000, **kwargs):
            pass

    exporter = Failing()
    export = MetricsExport(measured(), exporter, Resource({}), interval=60.0)

    export.export()
    export.stop()

    assert exporter.calls == 2


def test_an_applications_own_meters_see_the_same_numbers():
    reader = InMemoryMetricReader()
    measured(meter_provider=MeterProvider([reader], Resource({})))

    data = reader.get_metrics_data()

    assert data is not None
    metrics = {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    ok, unavailable = metrics["rpc.client.call.duration"].data.data_points
    assert (2, 1) == (ok.count, unavailable.count)
    assert list(ok.explicit_bounds) == list(instruments.SECONDS)
    assert dict(ok.attributes) == {**dict(WHERE), "rpc.response.status_code": "OK"}
    assert [point.value for point in metrics["mesh.client.active_calls"].data.data_points] == [1]
    assert [point.value for point in metrics["mesh.client.rejections"].data.data_points] == [1]
    assert [point.value for point in metrics["mesh.client.circuit_breaker.state"].data.data_points] == [2]
