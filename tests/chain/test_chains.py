"""Chains of methods: what a policy leaves out is not there, state outlives a push, calls in flight keep their chain."""

from __future__ import annotations

import pytest

from mesh.call import Arity, Call, Outcome, Side
from mesh.chain import Chains
from mesh.engine import run
from mesh.errors import ConfigError
from mesh.order import ORDER
from mesh.policy.table import PolicyTable
from mesh.telemetry.instruments import CIRCUIT_STATE
from mesh.telemetry.telemetry import Telemetry
from mesh.v1 import policy_pb2
from tests.policy.test_table import described, table

GET, BUY = "/shop.v1.Shop/Get", "/shop.v1.Shop/Buy"
OPENING = "circuit_breaker: {consecutive_failures: 1, open_for: 60s, max_open_for: 60s}"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def chains(text: str = "", side: Side = Side.CLIENT) -> Chains:
    return Chains(policies(text), side=side, target="shop", telemetry=Telemetry(), clock=Clock())


def policies(text: str) -> PolicyTable:
    return table(f"defaults: {{{text}}}", described())


def names(chain) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(stage.name for stage in chain.per_call), tuple(stage.name for stage in chain.per_attempt)


def begin(made: Chains, method: str = GET):
    call = Call(method, Arity.UNARY_UNARY)
    return run(made.find(method, Arity.UNARY_UNARY), call, made.clock, lambda: 0.5)


def finish(flow, outcome: Outcome) -> Outcome:
    with pytest.raises(StopIteration) as stop:
        flow.send(outcome)
    return stop.value.value


def outcome(made: Chains, code: int = 0, method: str = GET) -> Outcome:
    """Make one call whose attempt, if it gets that far, ends with `code`."""
    flow = begin(made, method)
    try:
        next(flow)
    except StopIteration as stop:
        return stop.value
    return finish(flow, Outcome(code))


OFF = "{enabled: false}"


def test_the_default_chain_of_a_client():
    made = chains().find(GET, Arity.UNARY_UNARY)

    assert (
        ("trace", "metrics", "deadline"),
        ("circuit_breaker", "client_concurrency", "attempt_metrics"),
    ) == names(made)
    assert made.retry is not None


def test_the_default_chain_of_a_server():
    made = chains(side=Side.SERVER).find(GET, Arity.UNARY_UNARY)

    assert (("trace", "metrics", "load_report", "deadline"), ()) == names(made)
    assert made.retry is None


def test_what_the_policy_switches_off_is_not_in_the_chain():
    sections = {slot.section for slot in ORDER}
    made = chains(", ".join(f"{section}: {OFF}" for section in sections))

    chain = made.find(GET, Arity.UNARY_UNARY)

    # Trace makes no spans, but carries the context; deadline has no default, but hands on what is left upstream.
    assert (("trace", "deadline"), ()) == names(chain)
    assert chain.retry is None


@pytest.mark.parametrize("section", sorted({slot.section for slot in ORDER} - {"trace", "retry"}))
@pytest.mark.parametrize("side", Side)
def test_a_section_that_is_off_takes_its_slots_out_and_no_others(section, side):
    everything = "access_log: {}, server_concurrency: {}"
    on = names(chains(everything, side).find(GET, Arity.UNARY_UNARY))
    text = ", ".join(part for part in everything.split(", ") if not part.startswith(section))

    off = names(chains(f"{text}, {section}: {OFF}", side).find(GET, Arity.UNARY_UNARY))

    gone = {slot.name for slot in ORDER if slot.section == section}
    if (section, side) == ("deadline", Side.CLIENT):
        gone = set()  # it still hands on what is left upstream
    # The stage of a slot may go by its feature's name: what matters is which are left, in which order.
    assert tuple(tuple(name for name in part if name not in gone) for part in on) == off


def test_a_method_that_may_not_be_repeated_has_no_retry():
    """Without an idempotency key it may not; whether a request has one, a call must be asked."""
    made = chains("retry: {idempotency_key: false}")

    assert made.find(BUY, Arity.UNARY_UNARY).retry is None
    assert made.find(GET, Arity.UNARY_UNARY).retry is not None
    assert chains().find(BUY, Arity.UNARY_UNARY).retry is not None


@pytest.mark.parametrize("method", [GET, BUY])
def test_hedging_takes_the_place_of_retries(method):
    """gRFC A6: "An individual RPC may be governed by a retry policy or a hedge policy, but not both"."""
    chain = chains("hedge: {}").find(method, Arity.UNARY_UNARY)

    assert chain.hedge is not None
    assert chain.retry is None


def test_hedging_that_covers_no_call_of_a_method_is_not_there():
    assert chains("hedge: {}, retry: {idempotency_key: false}").find(BUY, Arity.UNARY_UNARY).hedge is None


def test_a_chain_is_compiled_once():
    made = chains()

    assert made.find(GET, Arity.UNARY_UNARY) is made.find(GET, Arity.UNARY_UNARY)


def test_wrong_annotations_are_refused_with_their_path():
    pool = described(Get=policy_pb2.Policy(retry={"max_attempts": 99}))
    made = Chains(PolicyTable(pool=pool), side=Side.CLIENT, target="shop", telemetry=Telemetry())

    with pytest.raises(ConfigError) as caught:
        made.find(GET, Arity.UNARY_UNARY)

    assert '/shop.v1.Shop/Get.retry.max_attempts: "99" is out of range, must be 2 to 10' == str(caught.value)


def test_state_survives_a_push_that_leaves_its_policy_alone():
    made = chains(OPENING)
    assert 14 == outcome(made, 14, BUY).code
    assert "circuit_breaker" == outcome(made, 0, BUY).rejected_by

    made.swap(policies(f"{OPENING}, deadline: {{default_timeout: 1s}}"))

    assert "circuit_breaker" == outcome(made, 0, BUY).rejected_by


def test_state_is_new_when_its_policy_changed():
    made = chains(OPENING)
    outcome(made, 14, BUY)

    made.swap(policies(OPENING.replace("60s", "61s")))

    assert 0 == outcome(made, 0, BUY).code


def test_a_policy_that_comes_back_finds_its_state_and_its_metric():
    made = chains(OPENING)
    outcome(made, 14, BUY)

    made.swap(policies(OPENING.replace("60s", "61s")))
    outcome(made, 0, BUY)
    made.swap(policies(OPENING))

    assert "circuit_breaker" == outcome(made, 0, BUY).rejected_by
    states = [series.value for series in made.telemetry.snapshot() if series.instrument is CIRCUIT_STATE]
    assert [2] == states


def test_methods_have_circuits_of_their_own():
    made = chains(OPENING)
    outcome(made, 14, BUY)

    assert "circuit_breaker" == outcome(made, 0, BUY).rejected_by
    assert 0 == outcome(made, 0, GET).code


def test_targets_have_circuits_of_their_own():
    made = chains(OPENING)
    other = Chains(
        policies(OPENING),
        side=Side.CLIENT,
        target="other",
        telemetry=made.telemetry,
        state=made.state,
        clock=made.clock,
    )
    outcome(made, 14, BUY)

    assert 0 == outcome(other, 0, BUY).code


def test_two_channels_to_one_target_share_its_state():
    made = chains(OPENING)
    twin = Chains(
        policies(OPENING),
        side=Side.CLIENT,
        target="shop",
        telemetry=made.telemetry,
        state=made.state,
        clock=made.clock,
    )
    outcome(made, 14, BUY)

    assert "circuit_breaker" == outcome(twin, 0, BUY).rejected_by


def test_calls_in_flight_keep_the_chain_they_started_with():
    made = chains("client_concurrency: {max_in_flight: 1}")
    flow = begin(made)
    next(flow)
    assert "client_concurrency" == outcome(made).rejected_by

    made.swap(policies(f"client_concurrency: {OFF}"))
    assert 0 == outcome(made).code
    finish(flow, Outcome(0))

    made.swap(policies("client_concurrency: {max_in_flight: 1}"))
    assert 0 == outcome(made).code  # the slot was given back to the limit it was taken from


def test_a_push_reaches_calls_that_begin_after_it():
    made = chains()
    before = made.find(GET, Arity.UNARY_UNARY)

    made.swap(policies(f"metrics: {OFF}"))

    assert "metrics" in names(before)[0]
    assert "metrics" not in names(made.find(GET, Arity.UNARY_UNARY))[0]


@pytest.mark.parametrize(("native", "traced"), [(False, False), (True, True)])
def test_calls_without_interceptors_are_traced_here_whoever_the_policy_says(native, traced):
    """The package's interceptors are what would carry the context otherwise."""
    chosen = policies("trace: {engine: TRACE_ENGINE_OTEL_INSTRUMENTATION}")
    made = Chains(chosen, side=Side.CLIENT, target="shop", telemetry=Telemetry(), native=native)

    assert traced is ("trace" in names(made.find(GET, Arity.UNARY_UNARY))[0])
