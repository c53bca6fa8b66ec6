"""Retries never exceed what the calls of the window and the floor earn."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.mechanism.budget import RetryBudget


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from((0.0, 0.1, 0.2, 0.5, 1.0)),
    st.sampled_from((0.0, 0.1, 1.0, 3.0)),
    st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=120),
)
def test_retries_of_any_window_are_earned(ratio: float, floor: float, steps: list[tuple[int, bool]]) -> None:
    """At each granted retry: retries of the window <= floor * window + ratio * calls of the window."""
    window, now = 8.0, 0.0
    budget = RetryBudget(ratio=ratio, floor=floor, window=window, now=now)
    calls, retries = [], []
    for eighths, is_call in steps:
        now += eighths / 16
        if is_call:
            budget.deposit(now)
            calls.append(now)
            continue
        balance = budget.balance(now)
        if granted := budget.try_withdraw(now):
            retries.append(now)
            # The window forgets a tenth at a time: what it surely still holds is bounded by what it may still hold.
            held = sum(now - at < window * 0.9 for at in retries)
            assert held <= floor * window + ratio * sum(now - at < window for at in calls) + 1e-9
            assert budget.balance(now) == pytest.approx(balance - 1.0)
        assert granted == (balance >= 1.0 - 1e-9)


def test_an_outage_is_not_multiplied() -> None:
    """Every call fails and asks for two retries: the target sees 1.2 times the calls, and the floor."""
    budget = RetryBudget(ratio=0.2, floor=1.0, window=10.0, now=0.0)
    retries = 0
    for number in range(6000):
        now = number / 100
        budget.deposit(now)
        retries += budget.try_withdraw(now) + budget.try_withdraw(now)

    assert retries <= 0.2 * 6000 + 1.0 * (60.0 + 10.0) * 1.12
    assert retries >= 0.2 * 6000


def test_floor_is_there_without_traffic_and_comes_back() -> None:
    budget = RetryBudget(ratio=0.0, floor=0.2, window=10.0, now=0.0)

    assert [budget.try_withdraw(0.0) for _ in range(3)] == [True, True, False]
    assert [budget.try_withdraw(10.0) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("ratio", [0.1, 0.2, 0.29, 0.7])
def test_rounding_costs_no_retry(ratio: float) -> None:
    budget = RetryBudget(ratio=ratio, floor=0.0, window=10.0, now=0.0)
    for _ in range(100):
        budget.deposit(0.0)

    assert round(ratio * 100) == sum(budget.try_withdraw(0.0) for _ in range(100))


def test_balance_falls_below_zero_when_the_earning_calls_are_forgotten() -> None:
    budget = RetryBudget(ratio=1.0, floor=0.0, window=10.0, now=0.0)
    budget.deposit(0.0)
    assert budget.try_withdraw(5.0)

    assert budget.balance(10.5) == -1.0
    assert budget.balance(15.5) == 0.0


def test_repr_says_what_it_counts() -> None:
    budget = RetryBudget(ratio=0.2, floor=3.0, window=10.0, now=0.0)

    assert repr(budget) == "<RetryBudget ratio=0.2 reserve=30 <RateWindow 0 calls, 0 failures in 10 s>>"
