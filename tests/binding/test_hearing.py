"""Between a flow and its driver: lone messages are heard, and a verdict is the outcome whatever the flow waits for."""

from __future__ import annotations

from typing import Any

import pytest

from mesh import engine
from mesh.binding.hearing import Ear, listen
from mesh.call import (
    ABANDONED,
    COMMIT,
    OPEN,
    Arity,
    Attempt,
    Call,
    Choose,
    Direction,
    Outcome,
    Race,
    Sleep,
)
from mesh.contract import Stage
from mesh.engine import Chain
from tests.binding.contract.chains import Again, Beside, Instead, Recorder
from tests.stage.call import METHOD, Clock


class Against(Stage):
    """Says no to some messages."""

    name = "against"

    def __init__(self, *messages: Any) -> None:
        self.messages = messages
        self.heard: list[tuple[Direction, Any]] = []

    def message(
        self, call: Call, ticket: Any, message: Any, direction: Direction, now: float
    ) -> Outcome | None:
        self.heard.append((direction, message))
        return Outcome(8, "no") if message in self.messages else None


class Heard:
    """One call that is listened to, driven by hand."""

    def __init__(
        self,
        *against: Any,
        arity: Arity = Arity.UNARY_UNARY,
        client: bool = True,
        delay: float = 0.0,
        **options: Any,
    ) -> None:
        clock = Clock()
        self.stage, self.per_call, self.per_attempt = Against(*against), Recorder(), Recorder()
        chain = Chain((self.per_call, self.stage), (self.per_attempt,), **options)
        self.call = Call(METHOD, arity)
        self.ear = Ear(chain, self.call, clock)
        flow = engine.run(chain, self.call, clock, lambda: 0.5)
        self.flow = listen(flow, self.ear, "request", client=client)

    def step(self, answer: Any = None) -> Any:
        """Return the next effect; the outcome, when it is over."""
        try:
            return self.flow.send(answer)
        except StopIteration as stop:
            return stop.value


@pytest.mark.parametrize("client", [True, False])
def test_both_lone_messages_are_heard(client):
    one = Heard(client=client)
    out, back = (Direction.SENT, Direction.RECEIVED) if client else (Direction.RECEIVED, Direction.SENT)

    assert Attempt(1, None) == one.step()
    assert 0 == one.step(Outcome(0, value="response")).code

    assert [(out, "request"), (back, "response")] == one.stage.heard
    assert [0] == one.per_call.codes


def test_messages_of_streams_are_not_heard_here():
    one = Heard(arity=Arity.STREAM_STREAM)

    one.step()
    assert COMMIT is one.step(OPEN)
    one.step(Outcome(0, committed=True))

    assert [] == one.stage.heard


def test_the_message_of_a_failed_attempt_is_not_heard():
    one = Heard()
    one.step()

    assert 5 == one.step(Outcome(5)).code
    assert [(Direction.SENT, "request")] == one.stage.heard


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"retry": Again(3)},
        {"retry": Again(3, 1.0)},
        {"hedge": Beside(3, 1.0)},
        {"hedge": Beside(1, 1.0)},
        {"fallback": Instead(Outcome(0, value=b""))},
    ],
    ids=["plain", "retried", "retried later", "hedged", "hedged once", "with a fallback"],
)
def test_a_refused_request_never_goes_out(options):
    one = Heard("request", **options)

    outcome = one.step()

    assert (8, "no", "message") == (outcome.code, outcome.details, outcome.rejected_by)
    assert [8] == one.per_call.codes
    assert [8] == one.per_attempt.codes
    assert 1 == len(one.stage.heard)


@pytest.mark.parametrize(
    "options",
    [{}, {"retry": Again(3, 1.0)}, {"fallback": Instead("/a.B/C")}],
    ids=["plain", "retried", "with a fallback"],
)
def test_a_refused_response_is_not_asked_for_again(options):
    one = Heard("response", **options)
    one.step()

    assert 8 == one.step(Outcome(0, value="response")).code
    assert [8] == one.per_call.codes


def test_a_refused_response_of_a_hedged_call_cancels_the_other_attempts():
    one = Heard("response", hedge=Beside(2, 1.0))
    assert Race(Attempt(1, None), 1.0) == one.step()
    assert 2 == one.step(None).start.number

    assert Choose(2) == one.step((2, Outcome(0, value="response")))
    assert 8 == one.step(None).code
    assert [1, 8] == sorted(one.per_attempt.codes)


def test_the_answer_of_another_method_is_heard():
    one = Heard("instead", fallback=Instead("/a.B/C"))
    one.step()
    assert Attempt(2, None, "/a.B/C") == one.step(Outcome(14))

    assert 8 == one.step(Outcome(0, value="instead")).code


def judged(one: Heard, answer: Any = None) -> Outcome:
    """Let the verdict come while the driver waits; answer as whoever stops a call does."""
    assert one.ear.sent("later") is not None
    outcome = one.step(answer)
    assert type(outcome) is Outcome
    return outcome


def test_a_verdict_ends_a_call_that_waits_for_an_attempt():
    one = Heard("later", arity=Arity.STREAM_STREAM, retry=Again(3))
    one.step()

    assert 8 == judged(one).code
    assert [8] == one.per_attempt.codes


def test_a_verdict_ends_a_call_that_waits_to_try_again():
    one = Heard("later", arity=Arity.STREAM_STREAM, retry=Again(3, 1.0))
    one.step()
    assert Sleep(1.0) == one.step(Outcome(14))

    assert 8 == judged(one).code
    assert [14, 8] == one.per_attempt.codes


def test_a_verdict_ends_an_open_stream():
    one = Heard("later", arity=Arity.STREAM_STREAM)
    one.step()
    assert COMMIT is one.step(OPEN)

    assert 8 == judged(one, ABANDONED).code
    assert [8] == one.per_call.codes


def test_a_verdict_ends_a_race_in_which_nothing_starts_any_more():
    one = Heard("later", arity=Arity.UNARY_STREAM, hedge=Beside(1, 1.0))
    one.step()
    waiting = one.step(None)
    assert Race(None, None) == waiting

    assert 8 == judged(one).code
    assert [1] == one.per_attempt.codes


def test_after_a_verdict_nothing_is_heard():
    one = Heard("later", arity=Arity.STREAM_STREAM)
    one.step()
    judged(one)

    assert one.ear.received("more") is one.ear.verdict
    assert 1 == len(one.stage.heard)
    assert "no" in repr(one.ear)


def test_requests_of_a_stream_are_heard_once_however_often_they_are_sent():
    one = Heard(arity=Arity.STREAM_UNARY)
    one.step()
    for _ in range(2):
        for number, message in enumerate("ab"):
            assert one.ear.request(number, message) is None

    assert [(Direction.SENT, "a"), (Direction.SENT, "b")] == one.stage.heard


def test_a_stage_that_raises_fails_the_call():
    one = Heard()
    one.stage.messages = None  # nothing is in that

    assert 13 == one.step().code


class Alarm:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


def test_the_alarm_ends_with_the_flow():
    one = Heard()
    one.step()
    one.ear.alarm = Alarm()

    one.flow.close()

    assert one.ear.alarm.cancelled
    assert [1] == one.per_call.codes


def test_without_a_clock_nobody_needs_to_look():
    one = Heard()
    one.step()

    assert one.ear.look() is None
