"""Fault injection: by share and by request, felt by retries and circuits as the wire's own faults are."""

from __future__ import annotations

import pytest

from mesh.call import Arity, Call, Outcome
from mesh.chain import compile_chain
from mesh.mechanism.header_match import MatchKind
from mesh.policy.breaker import BreakerPolicy
from mesh.policy.fault import FaultPolicy
from mesh.policy.header_match import HeaderMatchPolicy
from mesh.policy.observe import MetricsPolicy
from mesh.policy.policy import Policy
from mesh.policy.retry import BackoffPolicy, RetryPolicy
from mesh.stage import fault

from .call import METHOD, Clock, Driver, scope

OK = Outcome(0)


def driver(policy: FaultPolicy, draws=lambda: 0.5, **sections) -> Driver:
    clock = Clock()
    made = scope(Policy(fault=policy, metrics=MetricsPolicy(), **sections), clock)._replace(random=draws)
    built = Driver(clock)
    built.chain = compile_chain(made)
    built.telemetry = made.telemetry
    return built


def counted(built: Driver) -> dict[str, float]:
    return {
        dict(series.attributes)["mesh.kind"]: series.value
        for series in built.telemetry.snapshot()
        if series.instrument.name == "mesh.client.faults"
    }


def asking(text: str) -> Call:
    return Call(METHOD, Arity.UNARY_UNARY, metadata=(("mesh-fault", text),))


def test_an_injected_error_does_not_reach_the_wire():
    built = driver(FaultPolicy(code=14, abort_share=1.0))

    outcome = built.call(lambda _: OK)

    assert (14, "fault injected by policy", "fault", "") == (
        outcome.code,
        outcome.details,
        outcome.answered_by,
        outcome.rejected_by,
    )
    assert [] == built.attempts
    assert {"abort": 1, "delay": 0} == counted(built)


def test_an_injected_delay_comes_before_the_attempt():
    built = driver(FaultPolicy(delay=0.25, delay_share=1.0))

    assert OK == built.call(lambda _: OK)

    assert [0.25] == built.waits
    assert 1 == len(built.attempts)
    assert {"abort": 0, "delay": 1} == counted(built)


def test_a_delay_takes_no_longer_than_the_deadline():
    built = driver(FaultPolicy(delay=60.0, delay_share=1.0))

    built.call(lambda _: Outcome(4), Call(METHOD, Arity.UNARY_UNARY, timeout=1.0))

    assert [1.0] == built.waits


@pytest.mark.parametrize(("u", "faults"), [(0.29, [14]), (0.3, [])])
def test_a_share_of_the_attempts_fails(u, faults):
    built = driver(FaultPolicy(code=14, abort_share=0.3), lambda: u)

    assert bool(faults) is (built.call(lambda _: OK).code == 14)


def test_an_injected_error_is_retried_like_one_of_the_wire():
    draws = iter([0.0, 0.0, 0.9, 0.9])
    built = driver(
        FaultPolicy(code=14, abort_share=0.5),
        lambda: next(draws),
        retry=RetryPolicy(every_method=True, backoff=BackoffPolicy()),
    )

    assert OK == built.call(lambda _: OK)
    assert [2] == [attempt.number for attempt in built.attempts]


def test_an_injected_error_opens_circuits():
    built = driver(
        FaultPolicy(code=14, abort_share=1.0), circuit_breaker=BreakerPolicy(consecutive_failures=3)
    )

    outcomes = [built.call(lambda _: OK) for _ in range(4)]

    assert ["", "", "", "circuit_breaker"] == [outcome.rejected_by for outcome in outcomes]


def test_only_requests_that_match_are_hurt():
    headers = (
        HeaderMatchPolicy(name="x-user", kind=MatchKind.EXACT, value="test"),
        HeaderMatchPolicy(name="x-run", kind=MatchKind.PRESENT),
    )
    built = driver(FaultPolicy(code=14, abort_share=1.0, headers=headers))

    def code(*metadata) -> int:
        return built.call(lambda _: OK, Call(METHOD, Arity.UNARY_UNARY, metadata=metadata)).code

    assert 14 == code(("x-user", "test"), ("x-run", "1"))
    assert 0 == code(("x-user", "test"))
    assert 0 == code()


def test_a_request_may_ask_for_a_fault():
    built = driver(FaultPolicy(by_request=True))

    outcome = built.call(lambda _: OK, asking("delay=2s, abort=ABORTED"))

    assert (10, "fault injected by mesh-fault") == (outcome.code, outcome.details)
    assert [2.0] == built.waits
    assert OK == built.call(lambda _: OK)


def test_what_a_request_asks_for_takes_the_place_of_what_the_policy_says():
    built = driver(FaultPolicy(by_request=True, code=14, abort_share=1.0))

    assert 13 == built.call(lambda _: OK, asking("abort=INTERNAL")).code
    assert 14 == built.call(lambda _: OK).code


def test_unless_the_policy_says_so_requests_cannot_ask():
    built = driver(FaultPolicy(delay=1.0, delay_share=0.0))

    assert OK == built.call(lambda _: OK, asking("abort=INTERNAL"))


def test_a_malformed_wish_is_refused():
    """A typo that did nothing would look like a service that bears everything."""
    built = driver(FaultPolicy(by_request=True))

    outcome = built.call(lambda _: OK, asking("abort=UNAVAILBLE"))

    assert (3, "fault") == (outcome.code, outcome.rejected_by)
    assert (
        'mesh-fault: abort "UNAVAILBLE" is not the name of an error, such as UNAVAILABLE' == outcome.details
    )


def test_it_is_absent_unless_configured():
    assert fault.build(scope(Policy(), Clock())) is None


def test_it_says_what_it_does():
    policy = FaultPolicy(
        delay=0.5,
        delay_share=0.1,
        code=14,
        abort_share=0.01,
        by_request=True,
        headers=(HeaderMatchPolicy(name="x-user", kind=MatchKind.PREFIX, value="test-"),),
    )

    assert (
        "10% of attempts wait 0.5s; 1% of attempts fail with UNAVAILABLE; what a request asks for in mesh-fault; "
        "where x-user begins with test-"
    ) == fault.describe(scope(Policy(fault=policy), Clock()))
