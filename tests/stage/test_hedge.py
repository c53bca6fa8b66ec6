"""When another attempt joins, which answer is the call's, and what all of it may cost."""

from __future__ import annotations

import dataclasses

import pytest

from mesh.call import Arity, Attempt, Call, Choose, Outcome, Race, Sleep
from mesh.engine import Chain, run
from mesh.policy.hedge import HedgePolicy
from mesh.policy.observe import MetricsPolicy
from mesh.policy.policy import Policy
from mesh.policy.retry import BudgetPolicy, RetryPolicy
from mesh.stage import hedge, retry
from mesh.stage.scope import State
from mesh.telemetry.instruments import CLIENT_HEDGES, RESULT
from mesh.telemetry.telemetry import Telemetry
from tests.stage.call import METHOD, Clock, Driver, scope

OK, DOWN, WRONG, LATE = Outcome(0), Outcome(14), Outcome(5), Outcome(4)
PLENTY = BudgetPolicy(min_per_second=1000.0)
KEYED = (("idempotency-key", "order-17"),)


def pushed(millis: str) -> Outcome:
    return Outcome(14, trailing=(("grpc-retry-pushback-ms", millis),))


class Fleet:
    """Makes hedged calls in virtual time: attempt n takes and ends as its answer says."""

    def __init__(self, *, idempotent=True, state=None, metrics=True, **policy):
        self.clock, self.telemetry = Clock(), Telemetry()
        self.clock.now = 0.0  # exact sums
        made = Policy(
            hedge=HedgePolicy(**{"delay": 0.05, "budget": PLENTY, **policy}),
            idempotent=idempotent,
            metrics=MetricsPolicy() if metrics else None,
        )
        where = scope(made, self.clock, state=state)._replace(telemetry=self.telemetry)
        self.hedge = hedge.build(where)
        self.chain = Chain(hedge=self.hedge)

    def call(self, *answers, **options) -> Outcome:
        """Make one call; `answers` are (seconds, outcome) of its attempts in turn, the last for all further ones."""
        self.begun, self.started, self.chosen = self.clock.now, [], None
        running: dict[int, tuple[float, Outcome]] = {}
        flow = run(self.chain, Call(METHOD, Arity.UNARY_UNARY, **options), self.clock, lambda: 0.5)
        answer = None
        try:
            while True:
                effect = flow.send(answer)
                if type(effect) is Race:
                    if effect.start is not None:
                        self._start(effect.start, running, answers)
                    answer = self._wait(effect.wait, running)
                elif type(effect) is Attempt:
                    self._start(effect, running, answers)
                    answer = self._wait(None, running)[1]
                else:
                    answer = None
                    if type(effect) is Sleep:
                        self.clock.now += effect.seconds
                    else:
                        assert type(effect) is Choose
                        self.chosen = effect.number
        except StopIteration as stop:
            self.took = self.clock.now - self.begun
            return stop.value

    def _start(self, attempt, running, answers):
        seconds, outcome = answers[min(attempt.number, len(answers)) - 1]
        self.started.append(round(self.clock.now - self.begun, 9))
        running[attempt.number] = self.clock.now + seconds, outcome

    def _wait(self, wait, running):
        number = min(running, key=lambda number: running[number][0], default=None)
        if number is None or (wait is not None and running[number][0] > self.clock.now + wait):
            self.clock.now += wait
            return None
        ends, outcome = running.pop(number)
        self.clock.now = max(self.clock.now, ends)
        return number, outcome

    def counted(self, result):
        return sum(
            series.value
            for series in self.telemetry.snapshot()
            if series.instrument is CLIENT_HEDGES and (RESULT, result) in series.attributes
        )


def test_a_fast_answer_is_not_hedged():
    fleet = Fleet()

    assert OK == fleet.call((0.04, OK))
    assert [0.0] == fleet.started


def test_a_slow_answer_is_overtaken():
    fleet = Fleet()

    assert OK == fleet.call((0.5, OK), (0.01, OK))
    assert ([0.0, 0.05], 2) == (fleet.started, fleet.chosen)
    assert pytest.approx(0.06) == fleet.took


def test_the_first_may_still_win():
    fleet = Fleet()

    assert OK == fleet.call((0.06, OK), (0.5, OK))
    assert ([0.0, 0.05], 1) == (fleet.started, fleet.chosen)


def test_attempts_follow_one_another_by_the_delay_up_to_their_number():
    fleet = Fleet(max_attempts=4)

    fleet.call((1.0, OK))

    assert [0.0, 0.05, 0.1, 0.15] == fleet.started


def test_a_delay_of_nothing_starts_all_at_once():
    fleet = Fleet(delay=0.0, max_attempts=3)

    fleet.call((1.0, OK))

    assert [0.0, 0.0, 0.0] == fleet.started


def test_a_status_that_does_not_decide_starts_the_next_at_once_and_the_delay_goes_on():
    fleet = Fleet(max_attempts=3)

    assert OK == fleet.call((0.01, DOWN), (1.0, OK), (0.01, OK))
    assert [0.0, 0.01, 0.06] == fleet.started


def test_any_other_status_decides():
    fleet = Fleet()

    assert WRONG == fleet.call((0.5, OK), (0.01, WRONG))
    assert 2 == fleet.chosen


def test_the_last_of_all_failures_is_the_calls():
    fleet = Fleet()

    assert DOWN == fleet.call((0.01, DOWN))
    assert [0.0, 0.01] == fleet.started


@pytest.mark.parametrize("text", ["-1", "soon"])
def test_a_server_that_wants_no_further_attempt_gets_none(text):
    """gRFC A6: "If the pushback says not to retry, no further hedged requests will be sent." Those that run go on."""
    fleet = Fleet(max_attempts=4)

    assert OK == fleet.call((0.2, OK), (0.01, pushed(text)))
    assert [0.0, 0.05] == fleet.started
    assert 14 == fleet.call((0.01, pushed(text)), (0.01, OK)).code
    assert [0.0] == fleet.started


def test_another_servers_failure_does_not_undo_the_first_ones_wish():
    fleet = Fleet(max_attempts=4)

    assert OK == fleet.call((0.3, OK), (0.07, pushed("-1")), (0.05, DOWN), (0.01, OK))
    assert [0.0, 0.05, 0.1] == fleet.started  # the second wishes at 0.12, the third fails at 0.15


@pytest.mark.parametrize("first", [0.01, 1.0])
def test_a_servers_delay_is_kept_by_the_next(first):
    """Whether or not another attempt runs meanwhile."""
    fleet = Fleet(max_attempts=3)

    assert OK == fleet.call((first, pushed("200")), (0.01, pushed("200")), (0.01, OK))
    assert fleet.started[-1] == pytest.approx(fleet.started[1] + 0.21)


def test_no_attempt_joins_without_time_for_it():
    fleet = Fleet()

    fleet.call((0.05, LATE), (0.01, OK), timeout=0.05)

    assert [0.0] == fleet.started


@pytest.mark.parametrize("metadata", [(), KEYED])
def test_a_method_that_is_not_idempotent_is_hedged_for_requests_with_a_key(metadata):
    fleet = Fleet(idempotent=False)

    fleet.call((0.5, OK), (0.01, OK), metadata=metadata)

    assert (2 if metadata else 1) == len(fleet.started)


@pytest.mark.parametrize(
    ("policy", "built"),
    [
        ({}, True),
        ({"idempotency_key": False}, False),
        ({"idempotency_key": False, "every_method": True}, True),
    ],
)
def test_which_methods_may_be_hedged(policy, built):
    assert built is (Fleet(idempotent=False, **policy).hedge is not None)


def test_a_one_shot_stream_of_requests_is_neither_hedged_nor_cut_short():
    fleet = Fleet()

    fleet.call((0.5, OK), (0.01, OK), replayable=False)

    assert [0.0] == fleet.started


def test_a_policy_that_is_off_builds_nothing():
    assert hedge.build(scope(Policy(idempotent=True), Clock())) is None


# By percentile


def test_nothing_is_hedged_before_enough_was_seen_and_then_by_percentile():
    fleet = Fleet(delay=None, minimum_calls=20, percentile=90.0)
    for _ in range(20):
        fleet.call((0.1, OK))
        assert [0.0] == fleet.started

    fleet.call((0.5, OK), (0.01, OK))

    assert 0.1 <= fleet.started[1] <= 0.11


def test_the_delay_stays_where_it_is_when_slow_answers_lose():
    """One first attempt in twenty hangs and is overtaken: the 90th percentile stays that of the others."""
    fleet = Fleet(delay=None, minimum_calls=20, percentile=90.0)
    for number in range(400):
        fleet.call((9.0 if number % 20 == 0 else 0.01, OK), (0.01, OK))

    fleet.call((0.5, OK), (0.01, OK))

    assert 0.01 <= fleet.started[1] <= 0.011


@pytest.mark.parametrize(
    ("outcome", "counted"), [(OK, True), (LATE, False), (DOWN, False), (WRONG, False)], ids=str
)
def test_failures_say_nothing_about_latency(outcome, counted):
    fleet = Fleet(delay=None, minimum_calls=1, max_attempts=2)
    fleet.call((0.1, outcome))

    fleet.call((0.5, OK), (0.01, OK))

    assert counted is (len(fleet.started) == 2)


def test_what_was_learned_survives_a_push_that_leaves_the_delay_alone():
    state = State()
    Fleet(delay=None, minimum_calls=1, state=state).call((0.1, OK))
    fleet = Fleet(delay=None, minimum_calls=1, max_attempts=3, state=state)

    fleet.call((0.5, OK), (0.01, OK))

    assert 2 == len(fleet.started)


def test_another_delay_is_learned_anew():
    state = State()
    Fleet(delay=None, minimum_calls=1, state=state).call((0.1, OK))
    fleet = Fleet(delay=None, minimum_calls=1, percentile=99.0, state=state)

    fleet.call((0.5, OK), (0.01, OK))

    assert [0.0] == fleet.started


# The budget


def test_hedges_and_retries_draw_from_one_budget():
    clock, state = Clock(), State()
    terms = BudgetPolicy(ratio=0.0, min_per_second=0.1, window=10.0)  # one attempt more
    retries = retry.build(scope(Policy(retry=RetryPolicy(budget=terms), idempotent=True), clock, state=state))
    spender = Driver(clock, retry=retries)
    fleet = Fleet(state=state, budget=terms)
    fleet.clock = clock

    assert 0 == spender.call(lambda number: DOWN if number == 1 else OK).code
    fleet.call((0.5, OK), (0.01, OK))

    assert [0.0] == fleet.started
    assert 1 == fleet.counted("refused")


def test_an_outage_is_not_multiplied():
    """A minute without an answer: attempts stay within 1.2 times the calls, and 3 a second on top."""
    fleet = Fleet(max_attempts=5, budget=BudgetPolicy())
    attempts, calls = 0, 2000
    for number in range(calls):
        fleet.clock.now = max(fleet.clock.now, number * 0.03)
        fleet.call((0.001, DOWN))
        attempts += len(fleet.started)

    assert calls < attempts <= 1.2 * calls + 3.0 * (60.0 + 10.0) + 5.0


def test_what_became_of_hedges_is_counted():
    fleet = Fleet(budget=BudgetPolicy(ratio=0.0, min_per_second=0.3, window=10.0))  # three
    fleet.call((0.5, OK), (0.01, OK))
    fleet.call((0.06, OK), (0.5, OK))
    fleet.call((0.01, WRONG))
    fleet.call((0.5, OK), (0.01, WRONG))
    fleet.call((0.5, OK), (0.01, OK))

    assert (3, 1, 1) == tuple(map(fleet.counted, ("started", "won", "refused")))


def test_where_metrics_are_off_nothing_is_counted():
    fleet = Fleet(metrics=False)

    fleet.call((0.5, OK), (0.01, OK))

    assert 0 == fleet.counted("started") == fleet.counted("won")


def test_hedging_by_default_is_for_the_slow_twentieth():
    """The defaults of the proto's comments."""
    assert {
        "delay": None,
        "percentile": 95.0,
        "minimum_calls": 100,
        "min_delay": 0.002,
        "max_attempts": 2,
        "non_fatal_codes": {14},
        "every_method": False,
        "idempotency_key": True,
        "budget": dataclasses.asdict(BudgetPolicy()),
    } == dataclasses.asdict(HedgePolicy())
