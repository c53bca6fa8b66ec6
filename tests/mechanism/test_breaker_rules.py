"""Each rule of the breaker once, by example; `test_breaker` explores what they make together."""

from __future__ import annotations

from mesh.mechanism.breaker import Circuit
from tests.mechanism.circuit import breaker, call


def test_opens_after_failures_in_a_row() -> None:
    subject = breaker()
    for ok in (False, False, True, False, False, None):
        call(subject, ok, 0.0)
    assert subject.state is Circuit.CLOSED

    call(subject, False, 0.0)

    assert (subject.state, subject.transitions) == (Circuit.OPEN, 1)
    assert subject.try_acquire(0.999) is None


def test_ratio_needs_minimum_calls_and_looks_at_the_window_only() -> None:
    subject = breaker(consecutive_failures=None, failure_ratio=0.5, minimum_calls=4, window=10.0)
    for _ in range(3):
        call(subject, False, 0.0)
    for _ in range(3):
        call(subject, False, 11.0)
    assert subject.state is Circuit.CLOSED

    call(subject, False, 12.0)

    assert subject.state is Circuit.OPEN


def test_a_success_never_opens() -> None:
    """Not even one that completes `minimum_calls`; the next failure does."""
    subject = breaker(consecutive_failures=None, failure_ratio=0.5, minimum_calls=3)
    for ok in (False, False, True):
        call(subject, ok, 0.0)
    assert subject.state is Circuit.CLOSED

    call(subject, False, 0.0)

    assert subject.state is Circuit.OPEN


def test_closing_forgets_the_window() -> None:
    subject = breaker(consecutive_failures=None, failure_ratio=0.5, minimum_calls=2)
    for _ in range(2):
        call(subject, False, 0.0)
    call(subject, True, 1.0)
    assert subject.state is Circuit.CLOSED

    call(subject, False, 1.0)

    assert subject.state is Circuit.CLOSED


def test_openings_double_up_to_the_cap_and_closing_resets_them() -> None:
    subject, now, openings = breaker(consecutive_failures=1), 0.0, []
    for _ in range(4):
        call(subject, False, now)
        openings.append(subject.retry_after(now))
        now += subject.retry_after(now)
    call(subject, True, now)
    call(subject, False, now)

    assert openings == [1.0, 2.0, 4.0, 4.0]
    assert subject.retry_after(now) == 1.0


def test_unanswered_probes_are_given_up_and_may_still_answer() -> None:
    """A hung probe does not reject all others for ever, and a slow target can close the circuit."""
    subject = breaker(consecutive_failures=1)
    call(subject, False, 0.0)
    slow = subject.try_acquire(1.0)
    assert slow is not None
    assert subject.try_acquire(1.5) is None

    second = subject.try_acquire(2.0)
    subject.record(slow, None, 2.0)

    assert second is not None
    assert subject.try_acquire(2.0) is None, "the late answer of the first round frees no slot of the second"
    subject.record(second, True, 2.5)
    assert subject.state is Circuit.CLOSED


def test_a_late_success_of_an_earlier_round_closes() -> None:
    subject = breaker(consecutive_failures=1)
    call(subject, False, 0.0)
    slow = subject.try_acquire(1.0)
    assert slow is not None
    subject.try_acquire(2.0)

    subject.record(slow, True, 2.5)

    assert subject.state is Circuit.CLOSED


def test_slow_answers_open_whatever_their_status() -> None:
    """A fast failure looks at failures alone, so it does not open for what was slow before."""
    subject = breaker(consecutive_failures=None, slow_call_ratio=0.5, minimum_calls=4)
    for ok, slow in ((True, True), (False, True), (True, False), (False, False)):
        subject.record(subject.try_acquire(0.0), ok, 0.0, slow=slow)
    assert subject.state is Circuit.CLOSED

    subject.record(subject.try_acquire(0.0), True, 0.0, slow=True)

    assert subject.state is Circuit.OPEN


def test_a_slow_probe_has_failed_where_slowness_opens() -> None:
    for ratio, expected in ((0.5, Circuit.OPEN), (None, Circuit.CLOSED)):
        subject = breaker(consecutive_failures=1, slow_call_ratio=ratio)
        call(subject, False, 0.0)

        subject.record(subject.try_acquire(1.0), True, 1.5, slow=True)

        assert subject.state is expected


def test_all_rules_off_never_opens() -> None:
    subject = breaker(consecutive_failures=None, failure_ratio=None)
    for _ in range(100):
        call(subject, False, 0.0)

    assert (subject.state, subject.transitions) == (Circuit.CLOSED, 0)


def test_clock_that_goes_back_promises_no_more_than_one_opening() -> None:
    subject = breaker(consecutive_failures=1)
    call(subject, False, 100.0)

    assert subject.try_acquire(3.0) is None
    assert subject.retry_after(3.0) == 1.0
    assert subject.try_acquire(3.9) is None
    assert subject.try_acquire(4.0) is not None


def test_clock_that_goes_back_gives_up_probes_after_one_opening() -> None:
    subject = breaker(consecutive_failures=1)
    call(subject, False, 100.0)
    assert subject.try_acquire(101.0) is not None

    assert subject.try_acquire(3.0) is None
    assert subject.try_acquire(4.0) is not None


def test_repr_says_where_it_stands() -> None:
    assert repr(breaker()) == "<CircuitBreaker closed epoch=0 row=0 probing=0>"
