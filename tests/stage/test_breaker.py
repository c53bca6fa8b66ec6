"""When a method of a target is not called any more, and what counts for and against it."""

from __future__ import annotations

import pytest

from mesh.call import COMMIT, Arity, Call, Outcome
from mesh.contract import Stage
from mesh.engine import run
from mesh.policy.breaker import BreakerPolicy, CircuitScope
from mesh.policy.policy import Policy
from mesh.stage import breaker
from mesh.stage.scope import State
from mesh.telemetry.instruments import CIRCUIT_STATE
from tests.stage.call import METHOD, Clock, Driver, scope

FAILURES = {2, 4, 13, 14, 15}


class Full(Stage):
    """A stage below that refuses."""

    name = "client_concurrency"

    def admit(self, call, now):
        return Outcome(8, "full", rejected_by=self.name)


def build(clock: Clock, **policy):
    made = scope(Policy(circuit_breaker=BreakerPolicy(**{"consecutive_failures": 3, **policy})), clock)
    stage = breaker.build(made)
    assert stage is not None
    return made, stage


def driver(clock: Clock | None = None, below: tuple[Stage, ...] = (), **policy) -> Driver:
    clock = clock or Clock()
    return Driver(clock, per_attempt=(build(clock, **policy)[1], *below))


def end(made: Driver, *codes: int) -> list[str]:
    """Make a call for each code; return who refused each."""
    return [made.call(lambda _, code=code: Outcome(code)).rejected_by for code in codes]


OPEN, PASSED = "circuit_breaker", ""


@pytest.mark.parametrize("code", range(17))
def test_what_speaks_against_a_target(code):
    made = driver()
    end(made, *[code] * 3)

    assert [OPEN if code in FAILURES else PASSED] == end(made, 0)


def test_an_open_circuit_says_when_it_probes():
    made = driver(open_for=2.0)
    end(made, 14, 14, 14)
    made.clock.now += 0.5

    outcome = made.call(lambda _: Outcome(0))

    assert (14, "circuit open for /shop.v1.Shop/Get at shop, probes again in 1.5s") == (
        outcome.code,
        outcome.details,
    )


def test_it_opens_rejects_probes_and_recovers():
    made = driver(open_for=1.0)

    assert [PASSED] * 3 + [OPEN] == end(made, 14, 14, 14, 0)
    made.clock.now += 0.9
    assert [OPEN] == end(made, 0)
    made.clock.now += 0.1
    assert [PASSED, PASSED] == end(made, 0, 0)


def test_a_failed_probe_opens_it_for_twice_as_long():
    made = driver(open_for=1.0)
    end(made, 14, 14, 14)
    made.clock.now += 1.0
    assert [PASSED] == end(made, 14)

    made.clock.now += 1.9
    assert [OPEN] == end(made, 0)
    made.clock.now += 0.1
    assert [PASSED] == end(made, 0)


def test_one_probe_at_a_time():
    made = driver(open_for=1.0)
    end(made, 14, 14, 14)
    made.clock.now += 1.0
    probe = made.begin()

    assert [OPEN] == end(made, 0)
    with pytest.raises(StopIteration):
        probe.send(Outcome(0))
    assert [PASSED] == end(made, 0)


@pytest.mark.parametrize("how", ["cancelled", "abandoned"])
def test_a_probe_that_says_nothing_is_replaced(how):
    made = driver(open_for=1.0)
    end(made, 14, 14, 14)
    made.clock.now += 1.0
    probe = made.begin()

    if how == "abandoned":
        probe.close()
    else:
        with pytest.raises(StopIteration):
            probe.send(Outcome(1))

    assert [PASSED, PASSED] == end(made, 0, 0)


def test_cancelled_says_nothing():
    """It neither opens nor interrupts a row of failures."""
    made = driver()

    assert [PASSED] * 5 + [OPEN] == end(made, 14, 14, 1, 1, 14, 0)


def test_a_deadline_that_somebody_further_up_chose_says_nothing():
    """Otherwise a few requests with `Grpc-Timeout: 1m` would close a method to everybody."""
    made = driver()
    for _ in range(9):
        hurried = Call(METHOD, Arity.UNARY_UNARY)
        hurried.hurried = True
        assert made.call(lambda _: Outcome(4), hurried).rejected_by == PASSED

    assert [PASSED] * 4 + [OPEN] == end(made, 0, 4, 4, 4, 0)


def test_a_success_ends_the_row():
    made = driver()

    assert [PASSED] * 6 == end(made, 14, 14, 0, 14, 14, 0)


def test_a_refusal_below_does_not_count():
    """A full concurrency limit is our doing, whatever its status."""
    made = driver(below=(Full(),))

    assert ["client_concurrency"] * 10 == end(made, *[0] * 10)


def test_a_probe_refused_below_is_replaced():
    clock = Clock()
    _, stage = build(clock, open_for=1.0)
    end(Driver(clock, per_attempt=(stage,)), 14, 14, 14)
    clock.now += 1.0

    assert ["client_concurrency"] == end(Driver(clock, per_attempt=(stage, Full())), 0)
    assert [PASSED] == end(Driver(clock, per_attempt=(stage,)), 0)


def test_a_call_abandoned_after_its_deadline_counts():
    made = driver(consecutive_failures=1)
    flow = made.begin(Call(METHOD, Arity.UNARY_UNARY, timeout=1.0))
    made.clock.now += 1.0
    flow.close()

    assert [OPEN] == end(made, 0)


def test_the_share_of_failures_opens_it():
    made = driver(consecutive_failures=None, failure_ratio=0.5, minimum_calls=4)

    assert [PASSED] * 4 + [OPEN] == end(made, 14, 0, 0, 14, 0)


def test_answers_to_calls_from_before_do_not_count():
    made = driver(open_for=1.0)
    late = [made.begin() for _ in range(6)]
    end(made, 14, 14, 14)
    made.clock.now += 1.0
    assert [PASSED] == end(made, 0)

    for flow in late:
        with pytest.raises(StopIteration):
            flow.send(Outcome(14))

    assert [PASSED] == end(made, 0)


def test_its_state_is_a_metric():
    clock = Clock()
    made, stage = build(clock, open_for=1.0)

    def gauge() -> list[float]:
        return [series.value for series in made.telemetry.snapshot() if series.instrument is CIRCUIT_STATE]

    circuit = Driver(clock, per_attempt=(stage,))
    assert [0] == gauge()
    end(circuit, 14, 14, 14)
    assert [2] == gauge()
    clock.now += 1.0
    circuit.begin()
    assert [1] == gauge()


def test_without_a_policy_there_is_no_stage():
    assert breaker.build(scope(Policy(), Clock())) is None


SLOW = {
    "consecutive_failures": None,
    "failure_ratio": None,
    "slow_call_ratio": 0.5,
    "minimum_calls": 2,
    "window": 1e3,
}


def test_slow_answers_open_it():
    made = driver(**SLOW, slow_call_duration=0.5)

    assert [PASSED] * 3 == [made.call(lambda _: Outcome(0), seconds=0.4).rejected_by for _ in range(3)]
    assert [PASSED] * 3 == [made.call(lambda _: Outcome(0), seconds=0.5).rejected_by for _ in range(3)]
    assert [OPEN] == end(made, 0)


def stream(made: Driver, to_first: float, to_end: float) -> str:
    """Make one call whose stream takes so long to begin and then to end; return who refused it."""
    flow = run(made.chain, Call(METHOD, Arity.UNARY_STREAM), made.clock, made.random)
    try:
        next(flow)
        made.clock.now += to_first
        assert COMMIT is flow.send(Outcome(0, open=True))
        made.clock.now += to_end
        flow.send(Outcome(0, committed=True))
    except StopIteration as stop:
        return stop.value.rejected_by


def test_of_a_stream_the_time_to_its_first_message_counts():
    """How long a stream goes on is its caller's wish."""
    made = driver(**SLOW)

    assert [PASSED] * 3 == [stream(made, 0.1, 3.0) for _ in range(3)]
    assert [PASSED, PASSED, PASSED, OPEN] == [stream(made, 2.0, 0.0) for _ in range(4)]


def test_a_circuit_for_all_methods_of_a_target():
    clock, state = Clock(), State()
    policy = Policy(circuit_breaker=BreakerPolicy(consecutive_failures=2, scope=CircuitScope.TARGET))
    drivers, scopes = {}, {}
    for name in ("Get", "List"):
        scopes[name] = scope(policy, clock, method=f"/shop.v1.Shop/{name}", state=state)
        drivers[name] = Driver(clock, per_attempt=(breaker.build(scopes[name]),))

    end(drivers["Get"], 14)
    end(drivers["List"], 14)
    outcome = drivers["Get"].call(lambda _: Outcome(0))

    assert "circuit open for shop, probes again in 1.0s" == outcome.details
    [series] = [one for one in scopes["Get"].telemetry.snapshot() if one.instrument is CIRCUIT_STATE]
    assert (("mesh.target", "shop"),) == series.attributes
    assert breaker.describe(scopes["Get"]).startswith(
        "one circuit for all methods of the target; opens after 2"
    )


def test_circuits_of_endpoints_are_the_cores():
    made = scope(Policy(circuit_breaker=BreakerPolicy(scope=CircuitScope.ENDPOINT)), Clock())

    assert breaker.build(made) is None
    assert (
        "about single endpoints, as outlier detection of the channel: gRPC's core ejects what fails"
        == breaker.absent(made)
    )
    assert "not configured" == breaker.absent(scope(Policy(), Clock()))


def test_what_explain_says_of_slow_answers():
    made = scope(Policy(circuit_breaker=BreakerPolicy(slow_call_ratio=0.3)), Clock())

    assert "or 30% slower than 1s of at least 20 calls in 10s; rejects" in breaker.describe(made)
