"""The estimate is within a tenth above the exact percentile, old values fade, and the mark is always where it belongs."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mesh.mechanism import percentile as module
from mesh.mechanism.percentile import LEAST, MOST, Percentile

LATENCIES = st.lists(st.floats(LEAST, MOST), min_size=1, max_size=200)
PERCENTILES = st.floats(50.0, 99.9)


def exact(values: list[float], percentile: float) -> float:
    """Return the smallest value with that share of all values at or below it."""
    ordered = sorted(values)
    return next(value for rank, value in enumerate(ordered, 1) if rank >= percentile / 100.0 * len(ordered))


@settings(max_examples=100, deadline=None)
@given(LATENCIES, PERCENTILES)
@example([1.0], 50.0)
@example([LEAST, MOST], 99.9)
@example([0.001] * 95 + [1.0] * 5, 95.0)
def test_the_estimate_is_at_most_a_tenth_too_high(values, percentile):
    found = Percentile(percentile=percentile, memory=10_000)
    for value in values:
        found.record(value)

    right = exact(values, percentile)
    assert right <= found.estimate() <= right * 1.1 * (1 + 1e-9)
    assert len(values) == found.seen


@settings(max_examples=100, deadline=None)
@given(LATENCIES, PERCENTILES, st.integers(2, 20))
def test_the_mark_is_where_a_count_from_the_start_finds_it(values, percentile, memory):
    """Whatever has faded: the mark moves by little at a time and never loses its place."""
    found = Percentile(percentile=percentile, memory=memory)
    for value in values:
        found.record(value)

        below = itertools.accumulate(found._counts)
        wanted = percentile / 100.0 * found._total
        bound = next(bound for bound, weight in zip(module._BOUNDS, below, strict=True) if weight >= wanted)
        assert math.isclose(sum(found._counts), found._total)
        assert bound == found.estimate()


def test_old_values_fade():
    """A service that got slower is believed after as many values as are remembered."""
    found = Percentile(percentile=95.0, memory=100)
    for _ in range(1000):
        found.record(0.001)
    for _ in range(100):
        found.record(0.5)

    assert 0.5 <= found.estimate() <= 0.55

    for _ in range(700):
        found.record(0.001)

    assert found.estimate() <= 0.0011


def test_one_value_in_twenty_does_not_move_the_95th():
    found = Percentile(percentile=95.0)
    for number in range(10_000):
        found.record(2.0 if number % 40 == 0 else 0.01)

    assert found.estimate() <= 0.011


@pytest.mark.parametrize(("value", "estimate"), [(0.0, LEAST), (-1.0, LEAST), (1e9, MOST)])
def test_beyond_the_bounds_only_the_bounds_are_known(value, estimate):
    found = Percentile(percentile=50.0)

    found.record(value)

    assert estimate == found.estimate()


def test_nothing_recorded_is_the_least():
    assert LEAST == Percentile(percentile=99.0).estimate()


def test_memory_does_not_grow_and_repr_says_what_is_known():
    found = Percentile(percentile=99.5)
    buckets = len(found._counts)
    for number in range(5000):
        found.record(number / 1000.0)

    assert buckets == len(found._counts) < 150
    assert repr(found).startswith("<Percentile 99.5% is 5.")
    assert repr(found).endswith("after 5000>")
