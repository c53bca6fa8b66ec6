"""Calls that come faster than they may are refused with the time to wait; others pass all limits or count for none."""

from __future__ import annotations

import pytest

from mesh.call import Arity, Call, Outcome, Side
from mesh.policy.policy import Policy
from mesh.policy.rate_limit import RateKey, RateLimitPolicy, RatePolicy
from mesh.stage import rate_limit
from mesh.stage.scope import State
from tests.stage.call import METHOD, Clock, scope
from tests.stage.retry_info import retry_after

PRINCIPAL = RatePolicy(per_second=1.0, burst=1, key=RateKey.PRINCIPAL)
TENANT = RatePolicy(per_second=1.0, burst=1, key=RateKey.METADATA, metadata="tenant")


def scoped(*limits: RatePolicy, **options):
    return scope(Policy(rate_limit=RateLimitPolicy(limits=limits)), Clock(), side=Side.SERVER, **options)


def build(*limits: RatePolicy, **options):
    return rate_limit.build(scoped(*limits, **options))


def call(stage, now: float, peer: str = "ipv4:10.0.0.1:1", metadata=()) -> Outcome | None:
    return stage.admit(Call(METHOD, Arity.UNARY_UNARY, metadata=metadata, peer=lambda: peer), now)


def wait(outcome: Outcome) -> float:
    return retry_after(outcome.trailing, outcome.details)


def test_a_method_has_its_rate_whoever_calls():
    stage = build(RatePolicy(per_second=10.0, burst=2))
    assert [None, None] == [call(stage, 100.0, f"ipv4:10.0.0.{index}:1") for index in range(2)]

    refused = call(stage, 100.0)

    assert (8, "rate_limit") == (refused.code, refused.rejected_by)
    assert "/shop.v1.Shop/Get takes 10 calls a second, the limit; come back in 0.1s" == refused.details


def test_who_waits_as_told_is_served():
    """To the microsecond, rounded up."""
    stage = build(RatePolicy(per_second=3.0, burst=1))
    now = 100.0
    for _ in range(50):
        assert call(stage, now) is None
        refused = call(stage, now)
        assert 1 / 3 <= wait(refused) <= 1 / 3 + 2e-6
        now += wait(refused)


def test_callers_are_counted_apart_by_who_they_are():
    """Another port is no other caller."""
    stage = build(PRINCIPAL)
    callers = ["ipv4:10.0.0.1:1", "ipv4:10.0.0.2:1", "ipv4:10.0.0.1:2"]

    assert [True, True, False] == [call(stage, 100.0, peer) is None for peer in callers]


def test_metadata_is_counted_apart_by_value_and_calls_without_share_one_limit():
    stage = build(TENANT)
    metadata = [(("tenant", "a"),), (("tenant", "b"),), (("tenant", "a"),), (), (("other", "a"),)]

    assert [True, True, False, True, False] == [call(stage, 100.0, metadata=one) is None for one in metadata]


def test_a_refused_call_counts_for_no_limit():
    """Or one caller who is over his limit would use up everybody's."""
    stage = build(RatePolicy(per_second=1.0, burst=3), PRINCIPAL)
    for _ in range(10):
        call(stage, 100.0, "ipv4:10.0.0.1:1")

    assert [True, True, False] == [
        call(stage, 100.0, f"ipv4:10.0.0.{index}:1") is None for index in range(2, 5)
    ]


def test_the_longest_wait_is_told():
    stage = build(PRINCIPAL, RatePolicy(per_second=0.1, burst=1))
    call(stage, 100.0)

    assert wait(call(stage, 100.0)) == pytest.approx(10.0)


def test_methods_count_apart_and_a_push_keeps_the_count():
    state = State()
    call(build(TENANT, state=state), 100.0)

    assert call(build(TENANT, state=state), 100.0) is not None
    assert call(build(TENANT, state=state, method="/shop.v1.Shop/List"), 100.0) is None


def test_without_a_policy_there_is_no_stage():
    assert rate_limit.build(scope(Policy(), Clock(), side=Side.SERVER)) is None


def test_what_explain_says():
    said = rate_limit.describe(scoped(RatePolicy(per_second=100.0, burst=7), PRINCIPAL, TENANT))

    assert said == (
        "at most 100 calls a second (7 at once), 1 calls a second for each caller (1 at once), "
        "1 calls a second for each tenant (1 at once)"
    )
