"""The bucket never hands out more than its rate and burst allow, and its waits are kept promises."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.mechanism.bucket import TokenBucket

RATES = st.floats(0.01, 10_000.0)
BURSTS = st.floats(1.0, 1_000.0)
STEPS = st.lists(st.tuples(st.floats(-1.0, 5.0), st.floats(0.1, 20.0)), max_size=50)


@settings(max_examples=60, deadline=None)
@given(RATES, BURSTS, STEPS)
def test_never_more_than_burst_plus_rate_times_elapsed(
    rate: float, burst: float, steps: list[tuple[float, float]]
) -> None:
    """Whatever is asked when, and even if the clock goes back."""
    now = latest = 1000.0
    bucket = TokenBucket(rate=rate, burst=burst, now=now)
    taken = 0.0
    for advance, tokens in steps:
        now += advance
        latest = max(latest, now)
        if bucket.try_take(now, tokens):
            taken += tokens

        assert taken <= (burst + rate * (latest - 1000.0)) * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(RATES, BURSTS, STEPS)
def test_who_waits_as_told_is_served(rate: float, burst: float, steps: list[tuple[float, float]]) -> None:
    now = 1e6
    bucket = TokenBucket(rate=rate, burst=burst, now=now)
    for advance, tokens in steps:
        now += abs(advance)
        wait = bucket.wait(now, tokens)
        served = bucket.try_take(now, tokens)

        assert served == (wait == 0.0)
        assert (tokens > burst) == (wait == math.inf)
        if 0.0 < wait < math.inf:
            now += wait
            assert bucket.try_take(now, tokens)


def test_wait_is_the_time_to_refill() -> None:
    bucket = TokenBucket(rate=4.0, burst=2.0, now=0.0)
    assert bucket.try_take(0.0, 2.0)

    assert bucket.wait(0.0) == pytest.approx(0.25, abs=1e-5)
    assert bucket.wait(0.25, 2.0) == pytest.approx(0.25, abs=1e-5)
    assert bucket.wait(0.0, 2.5) == math.inf


def test_clock_that_goes_back_neither_refills_nor_takes_away() -> None:
    bucket = TokenBucket(rate=1.0, burst=5.0, now=100.0)
    assert bucket.try_take(100.0, 4.0)

    assert bucket.wait(90.0) == 0.0
    assert bucket.try_take(90.0)
    assert not bucket.try_take(100.5), "the ten seconds that ran twice refill once"


def test_without_a_rate_the_burst_is_all_there_is() -> None:
    bucket = TokenBucket(rate=0.0, burst=1.0, now=0.0)

    assert [bucket.try_take(0.0), bucket.try_take(1e9)] == [True, False]
    assert bucket.wait(1e9) == math.inf


def test_repr_says_what_is_left() -> None:
    assert repr(TokenBucket(rate=5.0, burst=10.0, now=0.0)) == "<TokenBucket 10/10 rate=5>"
