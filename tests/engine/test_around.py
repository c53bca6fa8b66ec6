"""What surrounds an attempt: time limits, injected delays, messages that are looked at, and answers in its place."""

from __future__ import annotations

import pytest

from mesh import engine
from mesh.call import COMMIT, OPEN, Arity, Attempt, Call, Direction, Outcome, Sleep
from mesh.contract import Fallback, Retry, Stage
from mesh.engine import EXPIRED, Chain

OK = Outcome(0, value=b"answer")
DOWN = Outcome(14, "down")
INSTEAD = Outcome(0, value=b"instead", answered_by="fallback")


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Recorder(Stage):
    name = "recorder"

    def __init__(self):
        self.codes = []

    def settle(self, call, ticket, outcome, now):
        self.codes.append(outcome.code)


class Slow(Stage):
    name = "slow"

    def __init__(self, seconds, verdict=None):
        self.seconds, self.verdict = seconds, verdict

    def admit(self, call, now):
        call.delay = self.seconds
        return self.verdict


class Least(Stage):
    def admit(self, call, now):
        call.least = 0.5


class Listener(Stage):
    name = "listener"

    def __init__(self, verdict=None):
        self.heard, self.verdict = [], verdict

    def admit(self, call, now):
        return "ticket"

    def message(self, call, ticket, message, direction, now):
        self.heard.append((ticket, message, direction, now))
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


class Limited(Retry):
    attempt_timeout = 0.25

    def delay(self, call, outcome, now, random):
        return 0.0 if call.attempt < 2 else None


class Instead(Fallback):
    def __init__(self, answer):
        self.given, self.asked = answer, []

    def answer(self, call, outcome, now):
        self.asked.append(outcome)
        return self.given


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


def test_an_attempt_has_a_time_of_its_own_within_the_deadline(clock):
    _, flow = start(Chain(retry=Limited()), clock, timeout=1.0)

    assert Attempt(1, 0.25) == next(flow)
    clock.now += 0.9
    assert Sleep(0.0) == flow.send(DOWN)
    assert Attempt(2, pytest.approx(0.1)) == flow.send(None)
    flow.close()


def test_an_attempt_without_a_deadline_still_has_its_own_time(clock):
    _, flow = start(Chain(retry=Limited()), clock)

    assert Attempt(1, 0.25) == next(flow)
    flow.close()


def test_no_attempt_starts_that_could_not_finish(clock):
    _, flow = start(Chain((Least(),)), clock, timeout=0.5)

    assert EXPIRED is finish(flow, None)


def test_a_stage_may_delay_an_attempt_and_the_time_it_takes_is_the_calls(clock):
    _, flow = start(Chain((), (Slow(0.2),)), clock, timeout=1.0)

    assert Sleep(0.2) == next(flow)
    clock.now += 0.2
    assert Attempt(1, pytest.approx(0.8)) == flow.send(None)
    flow.close()


def test_a_delay_ends_with_the_deadline_and_nothing_is_sent(clock):
    recorder = Recorder()
    _, flow = start(Chain((recorder,), (Slow(5.0),)), clock, timeout=1.0)

    assert Sleep(1.0) == next(flow)
    clock.now += 0.999  # a timer may wake early
    assert EXPIRED is finish(flow, None)
    assert [4] == recorder.codes


def test_a_delay_without_a_deadline(clock):
    call, flow = start(Chain((), (Slow(5.0),)), clock)

    assert Sleep(5.0) == next(flow)
    assert Attempt(1, None) == flow.send(None)
    assert 0.0 == call.delay
    flow.close()


def test_a_refusal_may_be_delayed_too(clock):
    recorder = Recorder()
    _, flow = start(Chain((recorder,), (Slow(0.2, DOWN),)), clock)

    assert Sleep(0.2) == next(flow)
    assert DOWN is finish(flow, None)
    assert [14] == recorder.codes


def test_messages_are_shown_to_the_stages_that_listen_with_their_tickets(clock):
    listener, recorder = Listener(), Recorder()
    chain = Chain((recorder, listener))
    call, flow = start(chain, clock)
    next(flow)

    assert chain.listens
    assert engine.hear(chain, call, b"one", Direction.SENT, 7.0) is None
    assert [("ticket", b"one", Direction.SENT, 7.0)] == listener.heard
    finish(flow, OK)


def test_a_chain_that_nobody_listens_in_says_so():
    assert not Chain((Recorder(),)).listens
    assert Stage().message(None, None, None, Direction.SENT, 0.0) is None
    assert Stage().admit(None, 0.0) is None


def test_a_listener_may_end_the_call(clock):
    too_large = Outcome(8, "too large", rejected_by="listener")
    chain = Chain((Listener(too_large), Listener()))
    call, flow = start(chain, clock)
    next(flow)

    assert too_large is engine.hear(chain, call, b"one", Direction.RECEIVED, 0.0)
    assert [] == chain.per_call[1].heard
    flow.close()


def test_a_listener_that_raises_fails_the_call(clock):
    broken = []
    chain = Chain((Listener(ValueError("no")),), broken=lambda stage, error: broken.append(stage.name))
    call, flow = start(chain, clock)
    next(flow)

    assert 13 == engine.hear(chain, call, b"one", Direction.RECEIVED, 0.0).code
    assert ["listener"] == broken
    flow.close()


def test_a_fallback_answers_in_the_place_of_a_failure(clock):
    recorder = Recorder()
    _, flow = start(Chain((recorder,), fallback=Instead(INSTEAD)), clock)
    next(flow)

    assert INSTEAD is finish(flow, DOWN)
    assert [0] == recorder.codes


def test_a_fallback_is_not_asked_when_all_is_well(clock):
    fallback = Instead(INSTEAD)
    _, flow = start(Chain(fallback=fallback), clock)
    next(flow)

    assert OK is finish(flow, OK)
    assert [] == fallback.asked


def test_a_fallback_may_decline(clock):
    _, flow = start(Chain(fallback=Instead(None)), clock)
    next(flow)

    assert DOWN is finish(flow, DOWN)


def test_a_fallback_to_another_method_is_asked_once_within_the_deadline(clock):
    _, flow = start(Chain(fallback=Instead("/a.B/Cheap")), clock, timeout=1.0)
    next(flow)
    clock.now += 0.25

    assert Attempt(2, 0.75, "/a.B/Cheap") == flow.send(DOWN)
    assert OK is finish(flow, OK)


def test_the_first_failure_stands_when_the_other_method_fails_too(clock):
    _, flow = start(Chain(fallback=Instead("/a.B/Cheap")), clock)
    next(flow)
    flow.send(DOWN)

    assert DOWN is finish(flow, Outcome(13))


def test_another_method_is_not_asked_without_time(clock):
    _, flow = start(Chain(fallback=Instead("/a.B/Cheap")), clock, timeout=1.0)
    next(flow)
    clock.now += 1.0

    assert DOWN is finish(flow, DOWN)


def test_a_stream_that_was_seen_has_no_fallback(clock):
    _, flow = start(Chain(fallback=Instead(INSTEAD)), clock)
    next(flow)
    assert COMMIT is flow.send(OPEN)
    torn = Outcome(15, committed=True)

    assert torn is finish(flow, torn)


def test_a_call_let_go_while_the_fallback_runs_settles_as_cancelled(clock):
    recorder = Recorder()
    _, flow = start(Chain((recorder,), fallback=Instead("/a.B/Cheap")), clock)
    next(flow)
    flow.send(DOWN)

    flow.close()

    assert [1] == recorder.codes


def test_defaults_decide_nothing(clock):
    call = Call("/a.B/C", Arity.UNARY_UNARY)
    hedge = engine.Hedge()

    assert hedge.wait(call, 0.0) is None
    assert not hedge.try_another(call, 0.0)
    assert hedge.retry(call, DOWN, 0.0) is None
    assert hedge.decides(DOWN)
    assert Fallback().answer(call, DOWN, 0.0) is None
    _, flow = start(Chain(hedge=hedge), clock)
    next(flow)
    flow.send((1, DOWN))
    assert DOWN is finish(flow, None)


def test_a_chain_names_its_stages():
    assert "<Chain recorder, slow>" == repr(Chain((Recorder(),), (Slow(1.0),)))


def test_another_method_may_answer_with_a_stream(clock):
    _, flow = start(Chain(fallback=Instead("/a.B/Cheap")), clock)
    next(flow)
    flow.send(DOWN)

    assert COMMIT is flow.send(OPEN)
    ended = Outcome(0, committed=True)
    assert ended is finish(flow, ended)


def test_a_stage_says_what_it_is():
    assert "<Recorder recorder>" == repr(Recorder())
