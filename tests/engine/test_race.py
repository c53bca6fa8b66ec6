"""Hedged calls, explored: every order in which attempts can answer, time out and be let go settles each of them once."""

from __future__ import annotations

import pytest

from mesh import engine
from mesh.call import COMMIT, OPEN, Arity, Attempt, Call, Choose, Outcome, Race, Sleep
from mesh.contract import Hedge, Stage
from mesh.engine import EXPIRED, LOST, Chain

OK = Outcome(0, value=b"answer")
DOWN = Outcome(14, "down")
WRONG = Outcome(5, "no such thing")
COMMITTED = Outcome(0, committed=True)
MOST = 3


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Attempts(Stage):
    """Counts what it admits and settles, by attempt."""

    name = "attempts"

    def __init__(self):
        self.admitted, self.settled = [], []
        self.refuse_from = 99

    def admit(self, call, now):
        if call.attempt >= self.refuse_from:
            return Outcome(14, "refused", rejected_by=self.name)
        self.admitted.append(call.attempt)
        return call.attempt

    def settle(self, call, ticket, outcome, now):
        self.settled.append((ticket, outcome.code))


class Slow(Stage):
    """Asks for a delay before each attempt."""

    name = "slow"

    def admit(self, call, now):
        call.delay = 0.5


class Whole(Attempts):
    def admit(self, call, now):
        self.admitted.append("call")
        return "call"


class After(Hedge):
    """Another attempt a second after each, up to MOST of them; UNAVAILABLE does not decide."""

    def __init__(self, *, covered=99, wait_after_failure=0.0):
        self.covered, self.wait_after_failure = covered, wait_after_failure
        self.begun, self.observed = 0, []

    def begin(self, call, now):
        self.begun += 1

    def wait(self, call, now):
        return 1.0 if call.attempt < MOST else None

    def try_another(self, call, now):
        self.covered -= 1
        return self.covered >= 0

    def retry(self, call, outcome, now):
        return self.wait_after_failure if call.attempt < MOST else None

    def decides(self, outcome):
        return outcome.code != 14

    def observe(self, number, seconds, outcome):
        self.observed.append(number)


class Script:
    """One hedged call and what its stages saw."""

    def __init__(self, hedge=None, extra=(), **options):
        self.clock, self.whole, self.attempts = Clock(), Whole(), Attempts()
        self.hedge = hedge or After()
        chain = Chain((self.whole,), (*extra, self.attempts), hedge=self.hedge)
        self.call = Call("/a.B/C", Arity.UNARY_STREAM, **options)
        self.flow = engine.run(chain, self.call, self.clock, lambda: 0.5)
        self.running, self.chosen, self.result = set(), None, None
        self.advance(None)

    def advance(self, answer):
        try:
            self.effect = self.flow.send(answer)
        except StopIteration as stop:
            self.effect, self.result = None, stop.value
            return
        if type(self.effect) is Race and self.effect.start is not None:
            self.running.add(self.effect.start.number)
        if type(self.effect) is Choose:
            assert self.chosen is None
            self.chosen = self.effect.number
            self.running.clear()

    def choices(self):
        """Return every answer a driver could give now."""
        effect = self.effect
        if effect is None:
            return []
        if type(effect) is Race:
            waits = [None] if effect.wait is not None else []
            ends = [(n, outcome) for n in sorted(self.running) for outcome in (OK, DOWN, WRONG, OPEN)]
            return [*waits, *ends]
        return [COMMITTED] if effect is COMMIT else [None]

    def answer(self, answer):
        if type(self.effect) is Sleep:
            self.clock.now += self.effect.seconds
        elif type(self.effect) is Race and answer is not None:
            self.running.discard(answer[0])
        self.advance(answer)


def explore(make, path=()):
    """Yield every path of answers from the first effect to the end."""
    script = make()
    for answer in path:
        script.answer(answer)
    choices = script.choices()
    yield path, script, not choices
    for choice in choices:
        yield from explore(make, (*path, choice))


def test_every_order_of_answers_settles_each_attempt_once():
    ends = 0
    for path, script, ended in explore(Script):
        if not ended:
            script.flow.close()  # let go at this very point
        admitted = script.attempts.admitted
        assert sorted(admitted) == sorted(number for number, _ in script.attempts.settled), path
        assert 1 == len(script.whole.settled), path
        assert sorted(script.hedge.observed) == sorted(admitted), path
        assert len(admitted) <= MOST
        if ended:
            ends += 1
            winner = [code for number, code in script.attempts.settled if number == script.chosen]
            assert [script.result.code] == winner, path
        else:
            assert "call" == script.whole.settled[0][0]
            assert 1 == script.whole.settled[0][1]

    assert ends > 100


def test_losers_settle_as_cancelled_and_after_the_choice():
    script = Script()
    assert Race(Attempt(1, None), 1.0) == script.effect
    script.answer(None)
    assert Race(Attempt(2, None), 1.0) == script.effect

    script.answer((2, OK))

    assert Choose(2) == script.effect
    assert [(2, 0)] == script.attempts.settled
    script.answer(None)
    assert OK is script.result
    assert [(2, 0), (1, LOST.code)] == script.attempts.settled


def test_a_stream_is_chosen_at_its_first_message():
    script = Script()
    script.answer(None)
    script.answer((2, OPEN))
    assert Choose(2) == script.effect
    script.answer(None)

    assert COMMIT is script.effect
    assert [(1, 1)] == script.attempts.settled
    script.answer(COMMITTED)
    assert [(1, 1), (2, 0)] == script.attempts.settled
    assert COMMITTED is script.result


def test_a_failure_that_does_not_decide_starts_the_next_attempt_at_once():
    script = Script()

    script.answer((1, DOWN))

    assert Race(Attempt(2, None), 1.0) == script.effect


def test_the_last_failure_is_the_outcome_when_nothing_decided():
    script = Script()
    for number in (1, 2, 3):
        script.answer((number, DOWN))

    assert Choose(3) == script.effect
    script.answer(None)
    assert DOWN is script.result


def test_a_failure_is_waited_after_as_long_as_the_server_asks():
    script = Script(After(wait_after_failure=5.0))

    script.answer((1, DOWN))

    assert Sleep(5.0) == script.effect
    script.answer(None)
    assert Race(Attempt(2, None), 1.0) == script.effect


def test_while_others_run_the_wait_is_part_of_the_race():
    script = Script(After(wait_after_failure=5.0))
    script.answer(None)

    script.answer((1, DOWN))

    assert Race(None, 5.0) == script.effect


def test_without_budget_there_is_no_other_attempt():
    script = Script(After(covered=0))

    script.answer(None)
    assert Race(None, None) == script.effect
    script.answer((1, OK))
    script.answer(None)

    assert OK is script.result
    assert [1] == script.attempts.admitted


def test_without_budget_a_failure_stands():
    script = Script(After(covered=0))

    script.answer((1, DOWN))

    assert Choose(1) == script.effect


def test_a_refused_hedge_leaves_those_that_run():
    script = Script()
    script.attempts.refuse_from = 2

    script.answer(None)

    assert Race(None, None) == script.effect
    script.answer((1, OK))
    script.answer(None)
    assert OK is script.result


def test_a_refused_first_attempt_is_the_outcome():
    whole, attempts = Whole(), Attempts()
    attempts.refuse_from = 1
    chain = Chain((whole,), (attempts,), hedge=After())
    flow = engine.run(chain, Call("/a.B/C", Arity.UNARY_UNARY), Clock(), lambda: 0.5)

    with pytest.raises(StopIteration) as stop:
        next(flow)

    assert "attempts" == stop.value.value.rejected_by
    assert [("call", 14)] == whole.settled


class Faulty(Stage):
    """Answers every attempt in the place of the wire, as injected faults do."""

    name = "faulty"

    def __init__(self, answer):
        self.answer = answer

    def admit(self, call, now):
        return self.answer


@pytest.mark.parametrize(
    "answer", [WRONG._replace(answered_by="faulty"), DOWN._replace(answered_by="faulty")]
)
def test_what_never_went_out_leaves_nothing_to_choose_from(answer):
    """A failure that decides, and one after which all further attempts failed alike."""
    script = Script(extra=(Faulty(answer),))

    assert answer is script.result
    assert script.chosen is None


def test_no_hedge_starts_without_time():
    script = Script(timeout=1.0)
    assert Race(Attempt(1, 1.0), 1.0) == script.effect
    script.clock.now += 1.0

    script.answer(None)

    assert Race(None, None) == script.effect


def test_a_failure_at_the_deadline_stands():
    script = Script(timeout=1.0)
    script.clock.now += 2.0

    script.answer((1, DOWN))

    assert DOWN is script.result


def test_a_call_without_time_sends_nothing():
    script = Script(timeout=0.0)

    assert EXPIRED is script.result
    assert [] == script.attempts.admitted


def test_an_attempt_that_is_delayed_past_the_deadline_is_not_sent():
    script = Script(extra=(Slow(),), timeout=0.4)
    assert Sleep(pytest.approx(0.4)) == script.effect

    script.answer(None)

    assert EXPIRED is script.result


def test_an_attempt_may_be_delayed():
    script = Script(extra=(Slow(),), timeout=2.0)
    assert Sleep(0.5) == script.effect

    script.answer(None)

    assert Race(Attempt(1, 1.5), 1.0) == script.effect
