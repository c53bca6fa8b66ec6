"""Values fall into the right bucket, and quantiles lie in the bucket of the exact answer."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.mechanism.histogram import Histogram, HistogramSnapshot

BOUNDS = st.lists(st.integers(-100, 100), min_size=1, max_size=12, unique=True).map(sorted)
VALUES = st.lists(st.floats(-150.0, 150.0), max_size=80)


@settings(max_examples=60, deadline=None)
@given(BOUNDS, VALUES)
def test_bounds_are_inclusive_upper_bounds(bounds: list[float], values: list[float]) -> None:
    histogram = Histogram(bounds=bounds)
    for value in values:
        histogram.record(value)
    edges = [-math.inf, *bounds, math.inf]

    assert [
        sum(lower < value <= upper for value in values) for lower, upper in itertools.pairwise(edges)
    ] == histogram.counts
    assert len(values) == histogram.total
    assert sum(values) == pytest.approx(histogram.sum)


@settings(max_examples=60, deadline=None)
@given(BOUNDS, VALUES.filter(bool), st.floats(0.001, 1.0))
def test_quantile_lies_in_the_bucket_of_the_exact_one(
    bounds: list[float], values: list[float], q: float
) -> None:
    histogram = Histogram(bounds=bounds)
    for value in values:
        histogram.record(value)
    exact = sorted(values)[math.ceil(q * len(values)) - 1]
    upper = min((bound for bound in bounds if bound >= exact), default=bounds[-1])
    lower = max((bound for bound in bounds if bound < exact), default=min(0.0, bounds[0]))

    assert min(lower, upper) - 1e-9 <= histogram.snapshot().quantile(q) <= upper + 1e-9


@settings(max_examples=60, deadline=None)
@given(BOUNDS, VALUES.filter(bool))
def test_quantiles_do_not_fall(bounds: list[float], values: list[float]) -> None:
    histogram = Histogram(bounds=bounds)
    for value in values:
        histogram.record(value)
    quantiles = [histogram.snapshot().quantile(tenth / 10) for tenth in range(11)]

    assert sorted(quantiles) == quantiles


def test_quantile_interpolates_within_the_bucket() -> None:
    histogram = Histogram(bounds=(1.0, 2.0, 4.0))
    for value in (0.5, 1.5, 1.5, 3.0):
        histogram.record(value)

    assert [histogram.snapshot().quantile(q) for q in (0.0, 0.25, 0.5, 0.75, 1.0)] == [
        0.0,
        1.0,
        1.5,
        2.0,
        4.0,
    ]


def test_quantile_beyond_the_last_bound_is_that_bound() -> None:
    histogram = Histogram(bounds=(1.0, 2.0))
    histogram.record(50.0)

    assert histogram.snapshot().quantile(0.5) == 2.0


def test_quantile_of_nothing_is_not_a_number() -> None:
    assert math.isnan(Histogram(bounds=(1.0,)).snapshot().quantile(0.5))


def test_snapshot_does_not_change() -> None:
    histogram = Histogram(bounds=(1.0, 2.0))
    histogram.record(1.0)
    snapshot = histogram.snapshot()
    histogram.record(5.0)

    assert HistogramSnapshot(bounds=(1.0, 2.0), counts=(1, 0, 0), sum=1.0) == snapshot
    assert (snapshot.total, histogram.total) == (1, 2)


def test_repr_says_how_much_it_holds() -> None:
    histogram = Histogram(bounds=(1.0, 2.0))
    histogram.record(1.5)

    assert repr(histogram) == "<Histogram 1 values, sum=1.5, 3 buckets>"
