"""How many may be in flight: taken by what goes out, given back however it ends."""

from __future__ import annotations

import pytest

from mesh.call import Side
from mesh.mechanism.concurrency import ConcurrencyLimit
from mesh.policy.concurrency import ConcurrencyPolicy
from mesh.policy.policy import Policy
from mesh.stage import concurrency
from mesh.stage.scope import State
from tests.stage.call import METHOD, Clock, scope
from tests.telemetry.drive import ENDINGS, end

POLICY = Policy(
    client_concurrency=ConcurrencyPolicy(max_in_flight=2),
    server_concurrency=ConcurrencyPolicy(max_in_flight=2),
)


def build(side: Side, **options):
    stage = concurrency.build(scope(POLICY, Clock(), side=side, **options))
    assert stage is not None
    return stage


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("side", Side)
def test_every_ending_gives_the_slot_back(ending, side):
    limit = ConcurrencyLimit(limit=1)
    stage = concurrency.Concurrency("limit", limit, METHOD, 1)

    end(ending, *([], [stage]) if side is Side.CLIENT else ([stage], []))

    assert 0 == limit.in_flight


@pytest.mark.parametrize("side", Side)
def test_what_exceeds_the_limit_is_refused(side):
    stage = build(side)
    assert [None, None] == [stage.admit(None, 0.0) for _ in range(2)]

    refused = stage.admit(None, 0.0)

    assert 8 == refused.code
    assert "/shop.v1.Shop/Get has 2 in flight, the limit" == refused.details
    assert f"{side.value}_concurrency" == refused.rejected_by == stage.name


def test_a_slot_given_back_is_there_for_the_next():
    stage = build(Side.CLIENT)
    stage.admit(None, 0.0)
    stage.admit(None, 0.0)

    stage.settle(None, None, None, 0.0)

    assert stage.admit(None, 0.0) is None


def test_methods_have_limits_of_their_own():
    state = State()
    one, other = build(Side.CLIENT, state=state), build(Side.CLIENT, state=state, method="/shop.v1.Shop/List")
    one.admit(None, 0.0)
    one.admit(None, 0.0)

    assert other.admit(None, 0.0) is None


def test_channels_to_one_target_share_the_limit():
    state = State()
    one, twin = build(Side.CLIENT, state=state), build(Side.CLIENT, state=state)
    one.admit(None, 0.0)
    one.admit(None, 0.0)

    assert 8 == twin.admit(None, 0.0).code


@pytest.mark.parametrize("side", Side)
def test_without_a_policy_there_is_no_stage(side):
    assert concurrency.build(scope(Policy(), Clock(), side=side)) is None
