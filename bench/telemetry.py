"""What telemetry adds to a call, in microseconds: each stage's admit and settle, beside the SDK's own instruments."""

from __future__ import annotations

import io
import timeit
from collections.abc import Callable

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from mesh.call import Arity, Call, Outcome, Side
from mesh.contract import Stage
from mesh.policy.observe import AccessLogPolicy, MetricsPolicy, TracePolicy
from mesh.policy.policy import Policy
from mesh.stage import access_log, attempt_metrics, metrics, trace
from mesh.stage.scope import Scope, State
from mesh.telemetry.sink import LineSink
from mesh.telemetry.telemetry import Telemetry
from mesh.telemetry.traceparent import TraceContext, read
from mesh.telemetry.tracing import Tracing

METHOD = "/shop.v1.Catalog/GetProduct"
HEADER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"
METADATA = (("user-agent", "grpc-python/1.85"), ("x-request-id", "1"), ("traceparent", HEADER + "00"))
OK = Outcome(0)
ROUNDS, REPEATS = 2_000, 40


def cost(body: Callable[[], object]) -> float:
    return min(timeit.repeat(body, number=ROUNDS, repeat=REPEATS)) / ROUNDS * 1e6


def of(stage: Stage | None, **options: object) -> float:
    """Return what a stage costs each call; `scratch` is what the server call around it left there."""
    stage = stage or Stage()
    parent = Call(METHOD, Arity.UNARY_UNARY)
    parent.scratch = options.pop("scratch", None)

    def body() -> None:
        call = Call(METHOD, Arity.UNARY_UNARY, parent=parent, **options)  # type: ignore[arg-type]
        stage.settle(call, stage.admit(call, 0.0), OK, 0.001)

    return cost(body) - cost(lambda: Call(METHOD, Arity.UNARY_UNARY, parent=parent, **options))  # type: ignore[arg-type]


def main() -> None:
    policy = Policy(trace=TracePolicy(), metrics=MetricsPolicy(), access_log=AccessLogPolicy())
    silent = LineSink(io.StringIO(), interval=60.0, batch=1 << 30)
    sdk = Tracing(provider=TracerProvider(), ratio=0.01, random=lambda: 0.5)
    without, traced = Telemetry(log=silent), Telemetry(log=silent, tracing=sdk)

    def place(telemetry: Telemetry, side: Side = Side.CLIENT) -> Scope:
        return Scope(METHOD, Arity.UNARY_UNARY, side, "catalog", policy, telemetry, State())

    server, client = trace.build(place(traced, Side.SERVER)), trace.build(place(traced))
    incoming = (METADATA[0], METADATA[1], ("traceparent", HEADER + "01"))
    histogram = MeterProvider([InMemoryMetricReader()]).get_meter("bench").create_histogram("bench")
    labels = {"rpc.method": METHOD, "rpc.response.status_code": "OK"}
    rows = (
        ("metrics", of(metrics.build(place(without)))),
        ("attempt_metrics", of(attempt_metrics.build(place(without)))),
        ("one SDK histogram", cost(lambda: histogram.record(0.001, labels))),
        ("traceparent read", cost(lambda: read(METADATA))),
        ("trace, server, no SDK", of(trace.build(place(without, Side.SERVER)), metadata=METADATA)),
        ("trace, client, no SDK", of(trace.build(place(without)), scratch=TraceContext(HEADER + "00"))),
        ("trace, server, unsampled", of(server, metadata=METADATA)),
        ("trace, client, unsampled", of(client, scratch=TraceContext(HEADER + "00"))),
        ("trace, client, new, unsampled", of(client)),
        ("trace, server, sampled", of(server, metadata=incoming)),
        ("trace, client, sampled", of(client, scratch=TraceContext(HEADER + "01"))),
        ("access_log", of(access_log.build(place(without)), peer=lambda: "ipv4:127.0.0.1:5000")),
    )
    for name, microseconds in rows:
        print(f"{name:<32}{microseconds:6.2f} us")


if __name__ == "__main__":
    main()
