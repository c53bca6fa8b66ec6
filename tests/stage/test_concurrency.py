"""How many may be in flight: taken by what goes out, given back however it ends, moved by how long that took."""

from __future__ import annotations

import pytest

from mesh.call import Arity, Call, Outcome, Priority, Side
from mesh.policy.concurrency import AdaptivePolicy, Algorithm, ConcurrencyPolicy
from mesh.policy.policy import Policy
from mesh.policy.priority import PriorityPolicy
from mesh.stage import concurrency
from mesh.stage.scope import State
from tests.stage.call import METHOD, Clock, scope
from tests.stage.retry_info import retry_after
from tests.telemetry.drive import ENDINGS, end

TWO = ConcurrencyPolicy(max_in_flight=2)
ADAPTIVE = ConcurrencyPolicy(max_in_flight=100, adaptive=AdaptivePolicy(initial_in_flight=10))
AIMD = ConcurrencyPolicy(
    max_in_flight=100,
    adaptive=AdaptivePolicy(
        algorithm=Algorithm.AIMD,
        min_in_flight=1,
        initial_in_flight=10,
        latency_threshold=1.0,
        backoff_ratio=0.5,
    ),
)


def scoped(side: Side, policy: ConcurrencyPolicy = TWO, **options):
    both = Policy(
        client_concurrency=policy, server_concurrency=policy, priority=options.pop("priority", None)
    )
    return scope(both, options.pop("clock", None) or Clock(), side=side, **options)


def build(side: Side, policy: ConcurrencyPolicy = TWO, **options):
    stage = concurrency.build(scoped(side, policy, **options))
    assert stage is not None
    return stage


def made(priority: Priority = Priority.NORMAL, **attributes) -> Call:
    call = Call(METHOD, Arity.UNARY_UNARY)
    call.priority = priority
    for name, value in attributes.items():
        setattr(call, name, value)
    return call


def filled(stage) -> int:
    """How many calls it admits before it refuses one."""
    admitted = 0
    while type(stage.admit(made(), 0.0)) is not Outcome:
        admitted += 1
    return admitted


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("policy", [TWO, ADAPTIVE, AIMD], ids=["fixed", "gradient", "aimd"])
def test_every_ending_gives_the_slot_back(ending, side, policy):
    stage = build(side, policy)

    end(ending, *([], [stage]) if side is Side.CLIENT else ([stage], []))

    assert 0 == stage._limit.in_flight


@pytest.mark.parametrize("side", Side)
def test_what_exceeds_the_limit_is_refused(side):
    stage = build(side)
    assert 2 == filled(stage)

    refused = stage.admit(made(), 0.0)

    assert 8 == refused.code
    assert "/shop.v1.Shop/Get has 2 in flight, the limit" == refused.details
    assert f"{side.value}_concurrency" == refused.rejected_by == stage.name


@pytest.mark.parametrize("side", Side)
def test_a_low_priority_is_told_of_its_own_limit_and_others_of_theirs(side):
    stage = build(side)
    low = made()
    low.priority = Priority.LOW
    stage.admit(made(), 0.0)

    assert (
        "/shop.v1.Shop/Get has 1 in flight, the limit of low priority (of 2 in all)"
        == stage.admit(low, 0.0).details
    )
    stage.admit(made(), 0.0)
    assert "/shop.v1.Shop/Get has 2 in flight, the limit" == stage.admit(made(), 0.0).details


@pytest.mark.parametrize(("took", "expected"), [(0.0, 0.01), (0.5, 0.5), (60.0, 5.0)])
def test_a_server_says_when_to_come_back(took, expected):
    """After as long as calls took lately, within 10 ms and 5 s; a client's own refusal says nothing."""
    stage = build(Side.SERVER)
    stage.settle(made(), stage.admit(made(), 0.0), Outcome(0), took)
    filled(stage)

    refused = stage.admit(made(), took)
    assert expected == retry_after(refused.trailing, refused.details)
    assert () == build(Side.CLIENT, ConcurrencyPolicy(max_in_flight=0)).admit(made(), 0.0).trailing


def test_a_refusal_is_made_anew_ten_times_a_second():
    """Under overload refusing is the hot path. A clock that goes back makes one, too."""
    stage = build(Side.SERVER, ConcurrencyPolicy(max_in_flight=0))
    first = stage.admit(made(), 10.0)

    assert first is stage.admit(made(), 10.09)
    assert first is not stage.admit(made(), 10.11)
    assert first is not stage.admit(made(), 5.0)


def test_a_slot_given_back_is_there_for_the_next():
    stage = build(Side.CLIENT)
    filled(stage)

    stage.settle(made(), 0.0, Outcome(0), 0.0)

    assert 1 == filled(stage)


def test_methods_have_limits_of_their_own():
    state = State()
    one, other = build(Side.CLIENT, state=state), build(Side.CLIENT, state=state, method="/shop.v1.Shop/List")
    filled(one)

    assert 2 == filled(other)


def test_channels_to_one_target_share_the_limit():
    state = State()
    one, twin = build(Side.CLIENT, state=state), build(Side.CLIENT, state=state)
    filled(one)

    assert 0 == filled(twin)


@pytest.mark.parametrize("side", Side)
def test_a_bulkhead_is_one_limit_for_all_methods_of_a_target(side):
    state, bulkhead = State(), ConcurrencyPolicy(max_in_flight=2, every_method=True)
    one, other = (
        build(side, bulkhead, state=state, method=f"/shop.v1.Shop/{name}") for name in ("Get", "List")
    )
    another = build(side, bulkhead, state=state, target="else")
    filled(one)

    assert "shop has 2 in flight, the limit" == other.admit(made(), 0.0).details
    assert 2 == filled(another)


@pytest.mark.parametrize("side", Side)
def test_what_matters_least_is_refused_first(side):
    stage = build(side, ConcurrencyPolicy(max_in_flight=10, low_share=0.4, normal_share=0.8))
    admitted = dict.fromkeys(Priority, 0)
    for level in Priority:
        while type(stage.admit(made(level), 0.0)) is not Outcome:
            admitted[level] += 1

    assert {Priority.LOW: 4, Priority.NORMAL: 4, Priority.HIGH: 2} == admitted


# What moves a limit


def after(code: int, *, seconds: float = 0.1, call: Call | None = None, side=Side.CLIENT, **options) -> int:
    """The limit, 10 at first, after a call that ended so."""
    stage = build(side, AIMD, **options)
    call = call or made()
    ticket = stage.admit(call, 100.0)
    stage.settle(call, ticket, options.get("outcome", Outcome(code)), 100.0 + seconds)
    return stage._limit.limit


@pytest.mark.parametrize("code", range(17))
def test_which_statuses_are_signs_of_overload(code):
    assert (5 if code in {4, 8, 14} else 10) == after(code)


@pytest.mark.parametrize("code", range(17))
def test_which_statuses_have_a_duration_that_counts(code):
    """A caller who gives up and a bug say nothing, however long they took."""
    assert (10 if code in {1, 2, 13, 15} else 5) == after(code, seconds=2.0)


def test_a_deadline_that_somebody_further_up_chose_says_nothing():
    assert 10 == after(4, call=made(hurried=True))


def test_a_refusal_below_says_nothing():
    stage = build(Side.CLIENT, AIMD)
    stage.settle(made(), stage.admit(made(), 100.0), Outcome(8, rejected_by="fault"), 200.0)

    assert 10 == stage._limit.limit


def test_of_a_stream_the_time_to_its_first_message_counts():
    arity = Arity.UNARY_STREAM
    assert 10 == after(0, seconds=60.0, call=made(opened=100.5), arity=arity)
    assert 5 == after(0, seconds=60.0, call=made(opened=101.5), arity=arity)


@pytest.mark.parametrize(
    ("side", "arity", "adaptive"),
    [
        (side, arity, arity is Arity.UNARY_UNARY or (side is Side.CLIENT and arity is Arity.UNARY_STREAM))
        for side in Side
        for arity in Arity
    ],
)
def test_a_limit_that_nothing_teaches_is_fixed_at_its_maximum(side, arity, adaptive):
    assert (10 if adaptive else 100) == filled(build(side, ADAPTIVE, arity=arity))
    said = concurrency.describe(scoped(side, ADAPTIVE, arity=arity))
    assert adaptive == ("fixed: durations of streams say nothing about load" not in said)


def test_streams_that_share_a_limit_take_slots_and_teach_nothing():
    policy = ConcurrencyPolicy(max_in_flight=100, adaptive=AIMD.adaptive, every_method=True)
    stage = build(Side.SERVER, policy, arity=Arity.STREAM_STREAM)
    assert 10 == filled(stage)

    stage.settle(made(), 100.0, Outcome(14), 200.0)

    assert 10 == stage._limit.limit


# What is seen of it


@pytest.mark.parametrize("side", Side)
def test_limit_and_calls_in_flight_are_metrics(side):
    where = scoped(side, ADAPTIVE)
    stage = concurrency.build(where)
    stage.admit(made(), 0.0)

    series = {
        one.instrument.name: (dict(one.attributes), one.value)
        for one in where.telemetry.snapshot()
        if "concurrency" in one.instrument.name
    }

    labels = {"rpc.method": "shop.v1.Shop/Get", "mesh.target": "shop"}
    assert series == {
        f"mesh.{side.value}.concurrency.limit": (labels, 10),
        f"mesh.{side.value}.concurrency.in_flight": (labels, 1),
    }


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (TWO, "at most 2 in flight"),
        (
            ADAPTIVE,
            "10 to 100 in flight, from 10, moved by gradient (tolerates 1.5 times the latency without a queue)",
        ),
        (AIMD, "1 to 100 in flight, from 10, moved by aimd (times 0.5 at a failure or above 1s)"),
        (
            ConcurrencyPolicy(adaptive=AdaptivePolicy(algorithm=Algorithm.AIMD), every_method=True),
            "10 to 1024 in flight, from 20, moved by aimd (times 0.9 at a failure), all methods together",
        ),
        (
            ConcurrencyPolicy(max_in_flight=10, low_share=0.2, normal_share=0.5),
            (
                "at most 10 in flight; 50% of it is filled: without `priority` all requests are normal; "
                "low_share is inert without `priority`"
            ),
        ),
    ],
)
def test_what_explain_says(policy, expected):
    assert expected == concurrency.describe(scoped(Side.CLIENT, policy))


def test_explain_speaks_of_priorities_where_they_are_read():
    said = concurrency.describe(scoped(Side.SERVER, priority=PriorityPolicy()))

    assert "at most 2 in flight; low priority fills 50% of it, normal 100%" == said


@pytest.mark.parametrize("side", Side)
def test_without_a_policy_there_is_no_stage(side):
    assert concurrency.build(scope(Policy(), Clock(), side=side)) is None
