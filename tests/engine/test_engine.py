"""The engine driven by hand: every ending, in every scope, settles every admitted stage exactly once."""

from __future__ import annotations

import itertools

import pytest

from mesh import engine
from mesh.call import ABANDONED, COMMIT, OPEN, Arity, Attempt, Call, Outcome, Sleep
from mesh.contract import Retry, Stage
from mesh.engine import EXPIRED, Chain

OK = Outcome(0, value=b"answer")
DOWN = Outcome(14, "down")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Seen(Stage):
    """Logs into a list shared by all stages, so that order across stages shows."""

    def __init__(self, name, log, *, reject=None, break_in=""):
        self.name, self.log, self.reject, self.break_in = name, log, reject, break_in

    def admit(self, call, now):
        self.log.append(f"admit {self.name}")
        if self.break_in == "admit":
            raise ValueError(self.name)
        return self.reject or self.name

    def settle(self, call, ticket, outcome, now):
        assert ticket == self.name
        self.log.append(f"settle {self.name} {outcome.code}")
        if self.break_in == "settle":
            raise ValueError(self.name)


class Every(Retry):
    def __init__(self, delays):
        self.delays = iter(delays)
        self.begun = 0

    def begin(self, call, now):
        self.begun += 1

    def delay(self, call, outcome, now, random):
        return next(self.delays, None)


@pytest.fixture
def log():
    return []


@pytest.fixture
def clock():
    return Clock()


def start(chain, clock, **options):
    call = Call("/a.B/C", Arity.UNARY_UNARY, **options)
    return call, engine.run(chain, call, clock, lambda: 0.5)


def finish(flow, answer):
    with pytest.raises(StopIteration) as stop:
        flow.send(answer)
    return stop.value.value


def chain(log, **options):
    per_call = (Seen("a", log), Seen("b", log))
    return Chain(per_call, (Seen("c", log), Seen("d", log)), **options)


def test_stages_are_admitted_in_order_and_settled_in_reverse(log, clock):
    _, flow = start(chain(log), clock)

    assert Attempt(1, None) == next(flow)
    assert OK is finish(flow, OK)

    assert [
        "admit a", "admit b", "admit c", "admit d", "settle d 0", "settle c 0", "settle b 0", "settle a 0",
    ] == log  # fmt: skip


def test_an_attempt_that_is_tried_again_settles_its_own_scope_only(log, clock):
    _, flow = start(chain(log, retry=Every([0.25])), clock)

    assert Attempt(1, None) == next(flow)
    assert Sleep(0.25) == flow.send(DOWN)
    assert ["settle d 14", "settle c 14"] == log[-2:]
    assert Attempt(2, None) == flow.send(None)
    assert OK is finish(flow, OK)

    assert ["settle d 0", "settle c 0", "settle b 0", "settle a 0"] == log[-4:]
    assert 1 == log.count("settle a 0")


def test_a_call_earns_its_budget_once_and_only_when_admitted(log, clock):
    retry = Every([0.0, 0.0])
    _, flow = start(chain(log, retry=retry), clock)
    next(flow)
    flow.send(DOWN)
    flow.send(None)
    finish(flow, OK)
    rejected = Every([])
    _, flow = start(Chain((Seen("a", log, reject=DOWN),), retry=rejected), clock)
    with pytest.raises(StopIteration):
        next(flow)

    assert 1 == retry.begun
    assert 0 == rejected.begun


@pytest.mark.parametrize("rejecting", [0, 1])
def test_a_rejection_settles_only_those_above_it(log, clock, rejecting):
    stages = [Seen("a", log), Seen("b", log)]
    stages[rejecting] = Seen("x", log, reject=Outcome(8, rejected_by="x"))
    _, flow = start(Chain(tuple(stages), (Seen("c", log),)), clock)

    with pytest.raises(StopIteration) as stop:
        next(flow)

    assert 8 == stop.value.value.code
    assert ([] if rejecting == 0 else ["settle a 8"]) == [line for line in log if line.startswith("settle")]
    assert "admit c" not in log


def test_a_rejected_attempt_is_the_outcome_of_the_call(log, clock):
    _, flow = start(Chain((Seen("a", log),), (Seen("x", log, reject=Outcome(14, rejected_by="x")),)), clock)

    with pytest.raises(StopIteration) as stop:
        next(flow)

    assert "x" == stop.value.value.rejected_by
    assert ["admit a", "admit x", "settle a 14"] == log


def test_the_rest_of_a_stream_belongs_to_its_attempt(log, clock):
    _, flow = start(chain(log, retry=Every([0.0])), clock)
    next(flow)

    assert COMMIT is flow.send(OPEN)
    assert "settle d 0" not in log
    torn = Outcome(15, "torn", committed=True)
    assert torn is finish(flow, torn)

    assert ["settle d 15", "settle c 15", "settle b 15", "settle a 15"] == log[-4:]


def steps():
    """Every point at which a driver may let go: before the first effect, and at each one of a call with all of them."""
    return [
        ("before anything", []),
        ("in the first attempt", [None]),
        ("between attempts", [None, DOWN]),
        ("in the second attempt", [None, DOWN, None]),
        ("in the middle of a stream", [None, DOWN, None, OPEN]),
    ]


@pytest.mark.parametrize(("where", "answers"), steps(), ids=[name for name, _ in steps()])
@pytest.mark.parametrize("how", ["close", "drop"])
def test_a_flow_let_go_settles_as_cancelled(log, clock, where, answers, how):
    _, flow = start(chain(log, retry=Every([0.1])), clock)
    for answer in answers:
        flow.send(answer)

    if how == "close":
        flow.close()
    else:
        del flow

    admitted = sum(line.startswith("admit") for line in log)
    assert admitted == sum(line.startswith("settle") for line in log)
    if answers:
        assert "settle a 1" == log[-1]


def test_a_flow_let_go_after_its_deadline_settles_as_deadline_exceeded(log, clock):
    _, flow = start(chain(log), clock, timeout=2.0)
    assert Attempt(1, 2.0) == next(flow)
    clock.now += 2.0

    flow.close()

    assert "settle a 4" == log[-1]


def test_the_time_of_an_attempt_is_what_is_left(log, clock):
    _, flow = start(chain(log, retry=Every([0.5])), clock, timeout=2.0)

    assert Attempt(1, 2.0) == next(flow)
    clock.now += 1.0
    flow.send(DOWN)
    clock.now += 0.5
    assert Attempt(2, 0.5) == flow.send(None)
    finish(flow, OK)


def test_no_attempt_starts_after_the_deadline(log, clock):
    _, flow = start(chain(log, retry=Every([0.5])), clock, timeout=1.0)
    next(flow)
    flow.send(DOWN)
    clock.now += 5.0

    assert EXPIRED is finish(flow, None)
    assert "settle a 4" == log[-1]


def test_a_stage_that_raises_in_admit_fails_the_call(log, clock):
    broken = []
    stages = (Seen("a", log), Seen("x", log, break_in="admit"), Seen("b", log))
    _, flow = start(Chain(stages, broken=lambda stage, error: broken.append(stage.name)), clock)

    with pytest.raises(StopIteration) as stop:
        next(flow)

    assert 13 == stop.value.value.code
    assert "x" == stop.value.value.rejected_by
    assert ["x"] == broken
    assert ["admit a", "admit x", "settle a 13"] == log


def test_stages_that_raise_in_settle_do_not_stop_the_others(log, clock):
    broken = []
    stages = tuple(Seen(name, log, break_in="settle") for name in "abc")
    _, flow = start(Chain(stages, broken=lambda stage, error: broken.append(stage.name)), clock)
    next(flow)

    assert OK is finish(flow, OK)

    assert ["c", "b", "a"] == broken
    assert ["settle c 0", "settle b 0", "settle a 0"] == log[-3:]


def test_a_failed_call_without_retry_is_over(log, clock):
    _, flow = start(chain(log), clock)
    next(flow)

    assert DOWN is finish(flow, DOWN)


@pytest.mark.parametrize("outcomes", list(itertools.product([0, 5, 14], repeat=3)))
def test_attempts_end_at_the_first_success_or_refusal_to_retry(log, clock, outcomes):
    """With two retries allowed, the call's outcome is the first OK or the third attempt's."""
    call, flow = start(chain(log, retry=Every([0.0, 0.0])), clock)
    effect, result = next(flow), None
    for code in outcomes:
        assert type(effect) is Attempt
        try:
            effect = flow.send(Outcome(code))
            effect = flow.send(None)
        except StopIteration as stop:
            result = stop.value
            break

    expected = next((index for index, code in enumerate(outcomes) if code == 0), 2)
    assert outcomes[expected] == result.code
    assert expected + 1 == call.attempt
    assert 1 == sum(line.startswith("settle a") for line in log)
    assert expected + 1 == sum(line.startswith("settle c") for line in log)


def test_abandoned_is_cancelled():
    assert 1 == ABANDONED.code
