"""Splits: shares follow the weights, and moving a boundary moves only what it passes over."""

from __future__ import annotations

import collections

from hypothesis import given
from hypothesis import strategies as st

from mesh.mechanism.split import Split, draw

WEIGHTS = st.lists(st.integers(0, 100), min_size=1, max_size=5).filter(any)
DRAWS = st.floats(0.0, 1.0, exclude_max=True)


@given(WEIGHTS, DRAWS)
def test_a_choice_without_weight_is_never_picked(weights, u):
    assert weights[Split(weights=weights).pick(u)] > 0


@given(WEIGHTS)
def test_shares_follow_the_weights(weights):
    whole = sum(weights)

    picked = collections.Counter(Split(weights=weights).pick((n + 0.5) / whole) for n in range(whole))

    assert {index: weight for index, weight in enumerate(weights) if weight} == picked


@given(st.integers(0, 100), st.integers(0, 100), DRAWS)
def test_more_weight_takes_draws_and_gives_none_back(before, more, u):
    small, large = sorted((before, min(100, before + more)))

    if Split(weights=[100 - small, small]).pick(u) == 1:
        assert 1 == Split(weights=[100 - large, large]).pick(u)


def test_a_text_draws_the_same_in_every_process():
    """The values are part of the behaviour: a user stays where he is when clients are updated."""
    assert (0.30436587631841705, 0.45683545892225164) == (draw("alice"), draw(b"bob"))
    assert draw("alice") == draw(b"alice")


def test_texts_are_spread_evenly():
    tenths = collections.Counter(int(draw(f"user-{n}") * 10) for n in range(10_000))

    assert set(range(10)) == set(tenths)
    assert all(850 < count < 1150 for count in tenths.values())


@given(st.text())
def test_a_draw_is_below_one(text):
    assert 0.0 <= draw(text) < 1.0


def test_it_shows_where_the_boundaries_are():
    assert "<Split (90, 100)>" == repr(Split(weights=[90, 10]))
