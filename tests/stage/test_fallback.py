"""Fallbacks: which failures are replaced, by what, and what cannot be a fallback."""

from __future__ import annotations

import pytest

from mesh.call import Arity, Outcome
from mesh.chain import compile_chain
from mesh.errors import ConfigError
from mesh.policy.fallback import FallbackPolicy
from mesh.policy.observe import MetricsPolicy
from mesh.policy.policy import Policy
from mesh.stage import fallback
from tests.policy.test_traffic import shop

from .call import METHOD, Clock, Driver, scope

RESPONSE = FallbackPolicy(response='{"name": "none"}')
WIRE = b"\n\x04none"


def made(own: FallbackPolicy, **change):
    return scope(Policy(fallback=own, metrics=MetricsPolicy()), Clock())._replace(pool=shop(), **change)


def driver(policy: FallbackPolicy) -> Driver:
    built = Driver(Clock())
    built.scope = made(policy)
    built.chain = compile_chain(built.scope)
    return built


@pytest.mark.parametrize("code", [14, 4, 8])
def test_a_response_takes_the_place_of_a_failure(code):
    outcome = driver(RESPONSE).call(lambda _: Outcome(code, "broken"))

    assert (0, WIRE, "fallback") == (outcome.code, outcome.value, outcome.answered_by)


def test_the_answer_says_what_it_replaces():
    outcome = driver(RESPONSE).call(lambda _: Outcome(14))

    assert (("mesh-fallback", "UNAVAILABLE"),) == outcome.trailing


@pytest.mark.parametrize("outcome", [Outcome(0, value=b"real"), Outcome(5), Outcome(1)])
def test_what_the_policy_does_not_name_stands(outcome):
    assert outcome == driver(RESPONSE).call(lambda _: outcome)


def test_the_policy_may_name_other_statuses():
    policy = FallbackPolicy(response='{"name": "none"}', codes=frozenset({5}))

    assert WIRE == driver(policy).call(lambda _: Outcome(5)).value
    assert Outcome(14) == driver(policy).call(lambda _: Outcome(14))


def test_another_method_is_asked_once():
    built = driver(FallbackPolicy(method="GetCached"))

    outcome = built.call(lambda number: Outcome(14) if number == 1 else Outcome(0, value=b"cached"))

    assert b"cached" == outcome.value
    assert ["", "/shop.v1.Shop/GetCached"] == [attempt.method for attempt in built.attempts]


def test_when_that_fails_too_the_first_failure_stands():
    built = driver(FallbackPolicy(method="GetCached"))

    assert "attempt 1" == built.call(lambda number: Outcome(14, f"attempt {number}")).details
    assert 2 == len(built.attempts)


@pytest.mark.parametrize(
    ("policy", "result"), [(RESPONSE, "response"), (FallbackPolicy(method="GetCached"), "method")]
)
def test_fallbacks_are_counted(policy, result):
    built = driver(policy)
    built.call(lambda _: Outcome(14))

    (series,) = (
        one for one in built.scope.telemetry.snapshot() if one.instrument.name == "mesh.client.fallbacks"
    )
    assert (result, 1) == (dict(series.attributes)["mesh.result"], series.value)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (
            FallbackPolicy(response='{"nme": "x"}'),
            (
                "/shop.v1.Shop/Get: fallback.response: is not a shop.v1.Product: "
                'Message type "shop.v1.Product" has no field named "nme" at "Product".'
            ),
        ),
        (
            FallbackPolicy(method="Count"),
            '/shop.v1.Shop/Get: fallback.method: "Count" takes or answers with other messages than Get, or with streams of them',
        ),
    ],
)
def test_what_does_not_fit_the_method_is_refused(policy, expected):
    with pytest.raises(ConfigError) as caught:
        fallback.build(made(policy))

    assert [expected] == [str(problem) for problem in caught.value.problems]


def test_a_response_needs_the_methods_proto():
    with pytest.raises(ConfigError, match=r"fallback\.response: needs the method's proto"):
        fallback.build(made(RESPONSE, method="/other.v1.Other/Get"))


def test_another_method_does_not():
    assert fallback.build(made(FallbackPolicy(method="B"), method="/other.v1.Other/A")) is not None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"policy": Policy()}, "not configured"),
        ({"arity": Arity.UNARY_STREAM}, "the method answers with a stream"),
    ],
)
def test_why_there_is_none(change, reason):
    changed = made(RESPONSE, **change)

    assert fallback.build(changed) is None
    assert reason == fallback.absent(changed)


def test_it_says_what_it_does():
    assert (
        'on DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE answers {"name": "none"}'
        == fallback.describe(made(RESPONSE))
    )
    assert "on UNAVAILABLE asks GetCached" == fallback.describe(
        made(FallbackPolicy(method="GetCached", codes=frozenset({14})))
    )
    assert METHOD == "/shop.v1.Shop/Get"
