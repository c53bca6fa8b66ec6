"""When another attempt may join, rule by rule, and how long that takes."""

from __future__ import annotations

import pytest

from mesh.mechanism.hedge import FixedDelay, PercentileDelay, after_failure, wait


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, 0.05),
        ({"attempt": 2}, 0.05),
        ({"attempt": 3}, None),
        ({"delay": None}, None),
        ({"delay": 0.0}, 0.0),
        ({"remaining": 0.06}, 0.05),
        ({"remaining": 0.05}, None),
        ({"remaining": -1.0}, None),
    ],
    ids=str,
)
def test_the_next_attempt_waits_for_the_delay(given, seconds):
    assert seconds == wait(**{"attempt": 1, "max_attempts": 3, "delay": 0.05, "remaining": None, **given})


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, 0.0),
        ({"attempt": 3}, None),
        ({"attempt": 3, "pushback": 1.0}, None),
        ({"pushback": 1.0}, 1.0),
        ({"pushback": 0.0}, 0.0),
        ({"pushback": -1.0}, None),
        ({"pushback": 1.0, "remaining": 1.0}, None),
        ({"remaining": 0.0}, None),
    ],
    ids=str,
)
def test_after_a_failure_the_next_attempt_starts_at_once_or_when_the_server_says(given, seconds):
    """gRFC A6: immediately, after the server's delay, or never."""
    assert seconds == after_failure(
        **{"attempt": 1, "max_attempts": 3, "pushback": None, "remaining": None, **given}
    )


def test_a_fixed_delay_learns_nothing():
    delay = FixedDelay(seconds=0.05)
    delay.record(7.0, cut_off=False)

    assert 0.05 == delay.delay()
    assert "<FixedDelay 0.05 s>" == repr(delay)


def test_a_percentile_is_known_once_enough_was_seen():
    delay = PercentileDelay(percentile=95.0, minimum_calls=3, least=0.002)
    answers = []
    for _ in range(3):
        answers.append(delay.delay())
        delay.record(0.1, cut_off=False)

    assert [None, None, None] == answers
    assert 0.1 <= (delay.delay() or 0.0) <= 0.11
    assert "<PercentileDelay of <Percentile 95.0%" in repr(delay)


def test_a_percentile_is_never_below_its_least():
    delay = PercentileDelay(percentile=95.0, minimum_calls=1, least=0.002)
    delay.record(0.0005, cut_off=False)

    assert 0.002 == delay.delay()


def test_attempts_whose_time_was_up_count_as_slow():
    """One call in ten times out after the delay: the 85th percentile stays that of the others, the 95th finds it."""
    low = PercentileDelay(percentile=85.0, minimum_calls=10, least=0.0)
    high = PercentileDelay(percentile=95.0, minimum_calls=10, least=0.0)
    for number in range(2000):
        for delay in (low, high):
            waits = delay.delay() or 1.0
            late = number % 10 == 0
            delay.record(min(0.5, waits + 0.01) if late else 0.01, cut_off=late)

    assert (low.delay() or 0.0) <= 0.011
    assert (high.delay() or 0.0) > 0.02


def test_callers_in_a_hurry_say_nothing():
    """What is cut off before the delay might have taken any time; what is cut off after it was slow."""
    delay = PercentileDelay(percentile=50.0, minimum_calls=10, least=0.0)
    for _ in range(100):
        delay.record(0.002, cut_off=True)
    assert delay.delay() is None

    for _ in range(10):
        delay.record(0.1, cut_off=False)
    for _ in range(100):
        delay.record(0.002, cut_off=True)
    assert (delay.delay() or 0.0) >= 0.1

    for _ in range(100):
        delay.record(0.5, cut_off=True)
    assert (delay.delay() or 0.0) >= 0.5
