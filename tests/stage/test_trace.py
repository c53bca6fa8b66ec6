"""One span for each sampled call, none for others, and the context carried whichever it is."""

from __future__ import annotations

import contextvars

import pytest
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from mesh.call import CODE_NAMES, Outcome, Side
from mesh.contract import Stage
from mesh.errors import ConfigError
from mesh.policy.observe import TraceEngine, TracePolicy
from mesh.policy.policy import Policy
from mesh.stage import trace
from mesh.telemetry import otel as package
from mesh.telemetry.selection import Selection
from mesh.telemetry.telemetry import Telemetry
from mesh.telemetry.tracing import Tracing
from tests.telemetry.drive import ENDINGS, METHOD, call, drive, end, scope

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"
NATIVE = Policy(trace=TracePolicy())
FOREIGN = Policy(trace=TracePolicy(engine=TraceEngine.OTEL_INSTRUMENTATION))


class Traced:
    """A process with an SDK: its stages, and the spans it has finished."""

    def __init__(self, ratio=None, sampler=None, selection=None, policy=NATIVE, random=0.5) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler or ParentBased(ALWAYS_ON))
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing = Tracing(provider=self.provider, ratio=ratio, random=lambda: random)
        self.telemetry = Telemetry(tracing=self.tracing, selection=selection)
        self.policy = policy

    def stage(self, side: Side, method: str = METHOD) -> Stage:
        stage = trace.build(scope(self.policy, self.telemetry, side, method))
        assert stage is not None
        return stage

    def spans(self):
        return self.exporter.get_finished_spans()


def untouched() -> Traced:
    """A process in which touching the SDK fails the test."""

    class Touched(TracerProvider):
        def get_tracer(self, *args, **kwargs):
            return self

        def start_span(self, *args, **kwargs):
            raise AssertionError("the SDK was asked")

    traced = Traced()
    traced.tracing = Tracing(provider=Touched(), ratio=0.0)
    traced.telemetry = Telemetry(tracing=traced.tracing)
    return traced


def sent(header: str | None, state: str | None = None, **options):
    pairs = [("traceparent", header), ("tracestate", state)]
    return call(metadata=tuple((key, value) for key, value in pairs if value is not None), **options)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("side", Side)
def test_every_ending_has_exactly_one_span(ending, side):
    traced = Traced()

    end(ending, [traced.stage(side)])

    (span,) = traced.spans()
    status = ENDINGS[ending][1]
    kind = SpanKind.CLIENT if side is Side.CLIENT else SpanKind.SERVER
    assert (status, kind) == (span.attributes["rpc.response.status_code"], span.kind)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("side", Side)
def test_every_ending_restores_what_was_current(ending, side):
    traced = Traced()
    before = otel.get_current_span()

    end(ending, [traced.stage(side)])

    assert otel.get_current_span() is before


def test_a_server_continues_the_callers_trace_and_is_current_for_its_handler():
    traced = Traced()
    seen = []
    one = sent(SAMPLED, "vendor=1", peer=lambda: "ipv4:127.0.0.1:5000")

    drive([traced.stage(Side.SERVER)], one=one, on_attempt=lambda: seen.append(otel.get_current_span()))

    (span,) = traced.spans()
    assert (TRACE, SPAN) == (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}")
    assert span.parent.is_remote
    assert seen[0].get_span_context() == span.context
    assert one.scratch.header == f"00-{TRACE}-{span.context.span_id:016x}-01"
    assert one.scratch.state == "vendor=1"
    assert span.name == "shop.v1.Catalog/GetProduct"
    assert dict(span.attributes) == {
        "rpc.system.name": "grpc",
        "rpc.method": "shop.v1.Catalog/GetProduct",
        "network.peer.address": "127.0.0.1",
        "network.peer.port": 5000,
        "rpc.response.status_code": "OK",
    }


@pytest.mark.parametrize("side", Side)
def test_an_unsampled_trace_is_forwarded_as_it_came_and_the_sdk_is_not_asked(side):
    traced = untouched()
    server = sent(UNSAMPLED, "vendor=1")
    client = call(parent=server)

    drive(
        [traced.stage(Side.SERVER)],
        one=server,
        on_attempt=lambda: drive([traced.stage(Side.CLIENT)], one=client),
    )

    assert client.outgoing == [("traceparent", UNSAMPLED), ("tracestate", "vendor=1")]


def test_spans_of_an_unsampled_handler_are_not_sampled_either():
    traced = Traced()
    recorded = []

    def handle():
        with traced.provider.get_tracer("app").start_as_current_span("inner") as span:
            recorded.append((span.is_recording(), f"{span.get_span_context().trace_id:032x}"))

    drive([traced.stage(Side.SERVER)], one=sent(UNSAMPLED), on_attempt=handle)

    assert recorded == [(False, TRACE)]
    assert traced.spans() == ()


def test_a_client_call_hangs_under_the_span_of_the_server_that_makes_it():
    traced = Traced()
    client = call()

    drive(
        [traced.stage(Side.SERVER)],
        one=sent(SAMPLED),
        on_attempt=lambda: drive([traced.stage(Side.CLIENT)], one=client),
    )

    inner, outer = traced.spans()
    assert inner.parent.span_id == outer.context.span_id
    assert client.outgoing == [("traceparent", f"00-{TRACE}-{inner.context.span_id:016x}-01")]
    assert inner.attributes["server.address"] == "catalog"


def test_a_client_call_hangs_under_the_applications_own_span():
    traced = Traced()
    with traced.provider.get_tracer("app").start_as_current_span("checkout") as mine:
        drive([traced.stage(Side.CLIENT)])

    span = traced.spans()[0]
    assert span.parent.span_id == mine.get_span_context().span_id


def test_where_the_context_is_lost_the_server_call_still_tells_the_trace():
    traced = Traced()
    server, client = sent(SAMPLED), call()
    client.parent = server

    def elsewhere():
        contextvars.Context().run(lambda: drive([traced.stage(Side.CLIENT)], one=client))

    drive([traced.stage(Side.SERVER)], one=server, on_attempt=elsewhere)

    inner, outer = traced.spans()
    assert inner.parent.span_id == outer.context.span_id


def test_a_retried_call_has_one_span_that_counts_its_attempts_and_one_header():
    traced = Traced()
    one = call()

    end("retried", [traced.stage(Side.CLIENT)], one=one)

    assert traced.spans()[0].attributes["mesh.attempts"] == 2
    assert [key for key, _ in one.outgoing] == ["traceparent"]


def test_a_refusal_names_the_stage():
    traced = Traced()

    end("rejected per attempt", [traced.stage(Side.CLIENT)])

    assert traced.spans()[0].attributes["mesh.rejected_by"] == "refuse"


# "The following status codes SHOULD be considered errors: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL,
# UNAVAILABLE, DATA_LOSS" on servers, and all but OK on clients. - semantic conventions for gRPC
SERVER_ERRORS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("code", range(17))
def test_which_statuses_are_errors_depends_on_the_side(side, code):
    traced = Traced()
    script = [Outcome(code, "because"), Outcome(code, "because"), Outcome(0)][: 1 if code != 14 else 3]

    drive([traced.stage(side)], script=[one._replace(committed=True) for one in script])

    (span,) = traced.spans()
    name = CODE_NAMES[code]
    wrong = name in SERVER_ERRORS if side is Side.SERVER else code != 0
    assert span.status.status_code is (StatusCode.ERROR if wrong else StatusCode.UNSET)
    assert span.attributes.get("error.type") == (name if wrong else None)
    assert span.status.description == ("because" if wrong else None)


def test_what_a_handler_raised_is_recorded():
    traced = Traced()

    drive([traced.stage(Side.SERVER)], script=[Outcome(2, "boom", error=ValueError("boom"))])

    (event,) = traced.spans()[0].events
    assert event.attributes["exception.type"] == "ValueError"


@pytest.mark.parametrize(("random", "sampled"), [(0.0, True), (0.0999, True), (0.1, False), (0.9, False)])
@pytest.mark.parametrize("side", Side)
def test_a_new_trace_is_sampled_by_the_ratio_and_has_an_id_either_way(random, sampled, side):
    traced = Traced(ratio=0.1, random=random)
    one = call()

    drive([traced.stage(side)], one=one)

    assert len(traced.spans()) == sampled
    assert one.scratch.sampled is sampled


@pytest.mark.parametrize("side", Side)
def test_a_new_trace_that_is_not_sampled_does_not_touch_the_sdk(side):
    one = call()

    drive([untouched().stage(side)], one=one)

    assert one.scratch.header.endswith("-00")


def test_without_a_ratio_the_sdks_sampler_decides_and_the_flag_says_what_it_decided():
    on, off = Traced(sampler=ALWAYS_ON), Traced(sampler=ALWAYS_OFF)
    calls = []
    for traced in (on, off):
        calls.append(call())
        drive([traced.stage(Side.CLIENT)], one=calls[-1])

    assert (1, 0) == (len(on.spans()), len(off.spans()))
    assert [True, False] == [one.scratch.sampled for one in calls]


@pytest.mark.parametrize("side", Side)
def test_a_sampler_that_drops_what_the_caller_sampled_turns_the_flag_off(side):
    traced = Traced(sampler=ALWAYS_OFF)
    one = sent(SAMPLED) if side is Side.SERVER else call(parent=sent(None))
    if one.parent is not None:
        one.parent.scratch = trace.read((("traceparent", SAMPLED),))

    drive([traced.stage(side)], one=one)

    assert traced.spans() == ()
    assert (TRACE, False) == (one.scratch.trace_id, one.scratch.sampled)


def test_without_an_sdk_the_context_passes_through_and_none_is_invented():
    telemetry = Telemetry(tracing=Tracing(provider=otel.NoOpTracerProvider()))
    stages = {side: trace.build(scope(NATIVE, telemetry, side)) for side in Side}
    server = sent(SAMPLED)
    inside, alone = call(parent=server), call()

    drive([stages[Side.SERVER]], one=server, on_attempt=lambda: drive([stages[Side.CLIENT]], one=inside))
    drive([stages[Side.CLIENT]], one=alone)

    assert inside.outgoing == [("traceparent", SAMPLED)]
    assert alone.outgoing == []


def test_a_call_that_already_carries_a_traceparent_is_traced_by_somebody_outside():
    traced = Traced()
    one = sent(SAMPLED)

    drive([traced.stage(Side.CLIENT)], one=one)

    assert traced.spans() == ()
    assert one.outgoing == []
    assert one.scratch.trace_id == TRACE


def test_a_server_span_that_somebody_outside_has_begun_is_not_doubled():
    traced = Traced()
    tracer = traced.provider.get_tracer("opentelemetry.instrumentation.grpc")
    one = sent(SAMPLED)

    with tracer.start_as_current_span("outside", kind=SpanKind.SERVER) as span:
        drive([traced.stage(Side.SERVER)], one=one)

    assert len(traced.spans()) == 1
    assert one.scratch.span_id == f"{span.get_span_context().span_id:016x}"


@pytest.mark.parametrize(
    ("policy", "selection"),
    [
        (Policy(), None),
        (NATIVE, Selection(excluded_services=frozenset({"shop.v1.Catalog"}))),
        (NATIVE, Selection(lambda details: details.method != METHOD)),
        (FOREIGN, Selection(excluded_services=frozenset({"shop.v1.Catalog"}))),
    ],
    ids=["off", "excluded", "filtered", "excluded for the package"],
)
def test_without_spans_the_context_is_carried_all_the_same(policy, selection):
    traced = Traced(policy=policy, selection=selection)
    server, client, alone = sent(SAMPLED), call(), call()

    drive(
        [traced.stage(Side.SERVER)],
        one=server,
        on_attempt=lambda: drive([traced.stage(Side.CLIENT)], one=client),
    )
    drive([traced.stage(Side.CLIENT)], one=alone)

    assert traced.spans() == ()
    assert client.outgoing == [("traceparent", SAMPLED)]
    assert alone.outgoing == []


def test_the_package_makes_the_spans_where_the_policy_says_so():
    assert trace.build(scope(FOREIGN, Telemetry())) is None


def test_the_package_missing_is_a_problem_of_the_policy(monkeypatch):
    monkeypatch.setattr(package, "installed", lambda module: False)

    with pytest.raises(ConfigError) as caught:
        trace.build(scope(FOREIGN, Telemetry()))

    assert str(caught.value) == (
        '/shop.v1.Catalog/GetProduct: trace.engine: "TRACE_ENGINE_OTEL_INSTRUMENTATION" needs '
        "opentelemetry-instrumentation-grpc, which is not installed; pip install 'grpc-mesh[tracing]'"
    )


def test_a_call_settled_in_another_context_leaves_that_context_alone():
    """A call abandoned mid-stream may be closed by the garbage collector, in whatever context it runs."""
    traced = Traced()
    stage = traced.stage(Side.SERVER)
    one = sent(SAMPLED)
    ticket = contextvars.copy_context().run(stage.admit, one, 0.0)

    with traced.provider.get_tracer("app").start_as_current_span("other") as other:
        stage.settle(one, ticket, Outcome(1), 0.0)

        assert otel.get_current_span() is other
    assert len(traced.spans()) == 2
