"""Each key gets its rate and its burst, no more; who waits as told is served; memory is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.mechanism.bucket import KeyedRate

# Eighths of a second are exact in binary, so that the bounds below can be too.
STEPS = st.lists(st.tuples(st.integers(0, 24), st.sampled_from("ab")), max_size=60)


@settings(max_examples=80, deadline=None)
@given(STEPS, st.sampled_from((0.5, 1.0, 4.0)), st.integers(1, 5))
def test_each_key_is_a_bucket_of_tokens(steps: list[tuple[int, str]], rate: float, burst: int) -> None:
    """What is allowed is what a full bucket of `burst` tokens refilled at `rate` allows, for each key by itself."""
    subject, now = KeyedRate(rate=rate, burst=burst, most=10), 0.0
    tokens, seen = {"a": float(burst), "b": float(burst)}, {"a": 0.0, "b": 0.0}
    for eighths, key in steps:
        now += eighths / 8
        tokens[key] = min(burst, tokens[key] + (now - seen[key]) * rate)
        seen[key] = now

        wait = subject.wait(key, now)

        assert (wait == 0.0) == (tokens[key] >= 1.0)
        if wait:
            assert wait == pytest.approx((1.0 - tokens[key]) / rate)
        else:
            tokens[key] -= 1.0
            subject.take(key, now)


@pytest.mark.parametrize("rate", [0.3, 7.0, 333.3])
def test_who_waits_as_long_as_told_is_served(rate: float) -> None:
    """The wait is exact, but for what binary fractions lose."""
    subject, now = KeyedRate(rate=rate, burst=3, most=10), 1000.1
    for _ in range(200):
        wait = subject.wait("key", now)
        now += wait + 1e-9
        assert subject.wait("key", now) == 0.0
        subject.take("key", now)

    assert pytest.approx(1000.1 + 197 / rate, rel=1e-6) == now


def test_keys_not_asked_for_longest_are_forgotten_first() -> None:
    """Being refused is being asked for: a caller that is refused all the time does not begin anew."""
    subject = KeyedRate(rate=1.0, burst=1, most=2)
    subject.take("flood", 0.0)
    subject.take("old", 0.0)
    assert subject.wait("flood", 0.0) > 0.0

    subject.take("new", 0.0)

    assert [1.0, 0.0, 1.0] == [subject.wait(key, 0.0) for key in ("flood", "old", "new")]
    assert 2 == len(subject)


def test_a_clock_that_goes_back_a_little_delays_by_as_much() -> None:
    subject = KeyedRate(rate=1.0, burst=3, most=2)
    for _ in range(3):
        subject.take("key", 100.0)

    assert 1.75 == subject.wait("key", 99.25)


def test_a_clock_that_goes_back_far_lets_a_key_begin_anew() -> None:
    subject = KeyedRate(rate=1.0, burst=1, most=2)
    subject.take("key", 3700.0)

    assert 0.0 == subject.wait("key", 100.0)
    subject.take("key", 100.0)
    assert 1.0 == subject.wait("key", 100.0)


def test_repr_says_how_many_keys_it_knows() -> None:
    subject = KeyedRate(rate=2.0, burst=1, most=2)
    subject.take("key", 0.0)

    assert repr(subject) == "<KeyedRate 2/s for 1 keys>"
