"""Waits grow to the cap and are jittered within the bounds of their kind."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.mechanism.backoff import Backoff, Jitter

U = st.floats(0.0, 1.0, exclude_max=True)


def test_grows_by_the_multiplier_up_to_the_cap() -> None:
    backoff = Backoff(base=0.1, multiplier=2.0, max=0.5, jitter=Jitter.NONE)

    assert [backoff.delay(number, 0.9) for number in range(1, 6)] == [0.1, 0.2, 0.4, 0.5, 0.5]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10**6), U, st.floats(1.0, 10.0))
def test_jitter_stays_within_its_bounds(number: int, u: float, multiplier: float) -> None:
    """For any retry number, even those whose power overflows a float."""
    computed, full, proportional = (
        Backoff(base=0.1, multiplier=multiplier, max=2.0, jitter=jitter).delay(number, u)
        for jitter in (Jitter.NONE, Jitter.FULL, Jitter.PROPORTIONAL)
    )

    assert 0.1 <= computed <= 2.0
    assert 0.0 <= full <= computed
    assert 0.8 * computed <= proportional <= 1.2 * computed


@pytest.mark.parametrize(
    ("jitter", "bounds"),
    [(Jitter.NONE, (1.0, 1.0)), (Jitter.FULL, (0.0, 1.0)), (Jitter.PROPORTIONAL, (0.8, 1.2))],
)
def test_jitter_uses_all_of_its_bounds(jitter: Jitter, bounds: tuple[float, float]) -> None:
    backoff = Backoff(base=1.0, multiplier=2.0, max=1.0, jitter=jitter)

    assert bounds == pytest.approx((backoff.delay(1, 0.0), backoff.delay(1, math.nextafter(1.0, 0.0))))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10**6), U, st.floats(0.0, 100.0))
def test_decorrelated_jitter_goes_by_the_wait_before(number: int, u: float, waited: float) -> None:
    """Between the base and three times the wait before, however many retries there were."""
    backoff = Backoff(base=0.1, multiplier=2.0, max=5.0, jitter=Jitter.DECORRELATED)

    assert 0.1 <= backoff.delay(number, u, waited) <= min(5.0, 3.0 * max(waited, 0.1))
    assert backoff.delay(1, u, waited) == backoff.delay(number, u, waited)


@pytest.mark.parametrize(("waited", "bounds"), [(0.0, (1.0, 3.0)), (2.0, (1.0, 6.0)), (9.0, (1.0, 10.0))])
def test_decorrelated_jitter_uses_all_of_its_bounds(waited: float, bounds: tuple[float, float]) -> None:
    backoff = Backoff(base=1.0, multiplier=2.0, max=10.0, jitter=Jitter.DECORRELATED)

    found = backoff.delay(1, 0.0, waited), backoff.delay(1, math.nextafter(1.0, 0.0), waited)

    assert bounds == pytest.approx(found)


def test_repr_says_the_formula() -> None:
    backoff = Backoff(base=0.025, multiplier=2.0, max=0.25, jitter=Jitter.FULL)

    assert repr(backoff) == "<Backoff 0.025 s * 2^n up to 0.25 s, full jitter>"
