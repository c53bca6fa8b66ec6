"""How long a call may take: caller, default, cap, and what is left upstream less the reserve."""

from __future__ import annotations

import pytest

from mesh.call import Arity, Call, Outcome, Side
from mesh.policy.deadline import DeadlinePolicy
from mesh.policy.policy import Policy
from mesh.stage import deadline
from tests.stage.call import METHOD, Clock, Driver, scope

UNARY, STREAM = Arity.UNARY_UNARY, Arity.UNARY_STREAM


def build(clock: Clock, *, side=Side.CLIENT, arity=UNARY, **policy):
    stage = deadline.build(scope(Policy(deadline=DeadlinePolicy(**policy)), clock, side=side, arity=arity))
    assert stage is not None
    return stage


def parent(remaining: float | None, clock: Clock) -> Call:
    call = Call("/shop.v1.Front/Page", UNARY)
    call.deadline = None if remaining is None else clock.now + remaining
    return call


def allowed(clock: Clock, *, timeout=None, left=None, side=Side.CLIENT, arity=UNARY, **policy):
    """Return the timeout of the first attempt, or the outcome that refused it."""
    driver = Driver(clock, per_call=(build(clock, side=side, arity=arity, **policy),))
    call = Call(METHOD, arity, timeout=timeout, parent=None if left is None else parent(left, clock))
    outcome = driver.call(lambda _: Outcome(0), call)
    return driver.attempts[0].timeout if driver.attempts else outcome


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, 15.0),
        ({"arity": Arity.STREAM_UNARY}, 15.0),
        ({"arity": STREAM}, None),
        ({"arity": Arity.STREAM_STREAM}, None),
        ({"default_timeout": 2.0}, 2.0),
        ({"default_timeout": 2.0, "arity": STREAM}, 2.0),
        ({"timeout": 1.0}, 1.0),
        ({"timeout": 60.0}, 60.0),
        ({"timeout": 60.0, "default_timeout": 2.0}, 60.0),
        ({"timeout": 60.0, "max_timeout": 5.0}, 5.0),
        ({"timeout": 1.0, "max_timeout": 5.0}, 1.0),
        ({"max_timeout": 5.0}, 5.0),
        ({"max_timeout": 5.0, "arity": STREAM}, 5.0),
        ({"default_timeout": 9.0, "max_timeout": 5.0}, 5.0),
        ({"left": 3.0}, 3.0),
        ({"left": 3.0, "hop_reserve": 0.5}, 2.5),
        ({"left": 3.0, "timeout": 1.0, "hop_reserve": 0.5}, 1.0),
        ({"left": 3.0, "timeout": 60.0}, 3.0),
        ({"left": 30.0}, 15.0),
        ({"left": 3.0, "arity": STREAM}, 3.0),
        ({"left": 3.0, "max_timeout": 2.0}, 2.0),
        ({"hop_reserve": 0.5}, 15.0),
    ],
    ids=str,
)
def test_the_first_attempts_timeout(given, expected):
    assert expected == allowed(Clock(), **given)


@pytest.mark.parametrize(
    "given",
    [
        {"timeout": 0.0},
        {"timeout": -1.0},
        {"left": 0.0},
        {"left": -1.0},
        {"left": 0.5, "hop_reserve": 0.5},
        {"left": 0.2, "hop_reserve": 0.5, "timeout": 10.0},
    ],
    ids=str,
)
def test_without_time_left_nothing_goes_out(given):
    outcome = allowed(Clock(), **given)

    assert (4, "no time is left for this call", "deadline") == (
        outcome.code,
        outcome.details,
        outcome.rejected_by,
    )


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"timeout": 0.1}, True),
        ({"timeout": 0.11}, False),
        ({"left": 0.1}, True),
        ({"left": 0.2, "hop_reserve": 0.1}, True),
        ({"timeout": 0.05, "side": Side.SERVER}, False),
        ({}, False),
    ],
    ids=str,
)
def test_no_attempt_starts_with_less_time_than_it_needs(given, refused):
    """Its server would only be loaded. A server that has been called is loaded already."""
    clock = Clock()
    clock.now = 0.0  # exact sums
    outcome = allowed(clock, min_attempt_time=0.1, **given)

    assert refused is isinstance(outcome, Outcome)


def test_a_parent_without_a_deadline_bounds_nothing():
    clock = Clock()
    driver = Driver(clock, per_call=(build(clock),))

    driver.call(lambda _: Outcome(0), Call(METHOD, UNARY, parent=parent(None, clock)))

    assert 15.0 == driver.attempts[0].timeout


def test_a_server_goes_by_what_the_wire_says():
    """Its `timeout` is what is left upstream already; a parent is the business of clients."""
    assert 3.0 == allowed(Clock(), side=Side.SERVER, timeout=3.0, hop_reserve=0.5)
    assert 2.0 == allowed(Clock(), side=Side.SERVER, timeout=3.0, max_timeout=2.0)


def test_all_attempts_share_one_deadline():
    clock = Clock()
    call = Call(METHOD, UNARY, timeout=2.0)
    driver = Driver(clock, per_call=(build(clock),))
    flow = driver.begin(call)
    clock.now += 1.5

    flow.close()

    assert 102.0 == call.deadline
    assert 0.5 == call.remaining(clock.now)


def test_switched_off_a_server_has_no_stage():
    assert deadline.build(scope(Policy(), Clock(), side=Side.SERVER)) is None


def test_switched_off_a_client_still_hands_on_what_is_left_upstream():
    """A method without a limit of its own must not outlive the call that made it."""
    clock = Clock()
    stage = deadline.build(scope(Policy(), clock))
    parent = Call(METHOD, UNARY)
    parent.deadline = clock.now + 3.0
    below, alone = Call(METHOD, UNARY, parent=parent), Call(METHOD, UNARY)

    stage.admit(below, clock.now)
    stage.admit(alone, clock.now)

    assert parent.deadline == below.deadline
    assert alone.deadline is None


@pytest.mark.parametrize(
    ("given", "hurried"),
    [
        ({"timeout": 1.0, "left": 3.0}, False),
        ({"timeout": 3.0, "left": 1.0}, True),
        ({"left": 3.0}, True),
        ({"left": 30.0}, False),
        ({"left": 3.0, "max_timeout": 2.0}, False),
    ],
    ids=str,
)
def test_a_deadline_that_a_hurried_caller_hands_down_is_hurried(given, hurried):
    clock = Clock()
    above = parent(given["left"], clock)
    above.hurried = True
    policy = {"max_timeout": given["max_timeout"]} if "max_timeout" in given else {}
    call = Call(METHOD, UNARY, timeout=given.get("timeout"), parent=above)

    build(clock, **policy).admit(call, clock.now)

    assert hurried is call.hurried
    above.hurried = False
    build(clock, **policy).admit(call, clock.now)
    assert not call.hurried


def test_what_came_over_the_wire_is_the_callers_choice_unless_it_is_capped():
    clock = Clock()
    chosen, capped, free = (
        Call(METHOD, UNARY, timeout=1.0),
        Call(METHOD, UNARY, timeout=9.0),
        Call(METHOD, UNARY),
    )
    passed_on = Call(METHOD, UNARY, timeout=14.9)
    for call in (chosen, capped, free):
        build(clock, side=Side.SERVER, max_timeout=5.0).admit(call, clock.now)
    build(clock, side=Side.SERVER).admit(passed_on, clock.now)

    assert [True, False, False] == [chosen.hurried, capped.hurried, free.hurried]
    assert not passed_on.hurried, "a hop of services with the same default is in no hurry"
