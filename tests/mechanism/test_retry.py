"""Whether there is another attempt, rule by rule, and what a server's pushback means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.mechanism.backoff import Backoff, Jitter
from mesh.mechanism.budget import RetryBudget
from mesh.mechanism.retry import STOP, decide, parse_pushback

BACKOFF = Backoff(base=0.1, multiplier=2.0, max=10.0, jitter=Jitter.NONE)


def ask(**changes: Any) -> float | None:
    arguments: dict[str, Any] = {
        "attempt": 1,
        "max_attempts": 3,
        "retryable": True,
        "pushback": None,
        "remaining": None,
        "backoff": BACKOFF,
        "budget": None,
        "u": 0.0,
        "now": 0.0,
    }
    return decide(**{**arguments, **changes})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("1", 0.001),
        ("1500", 1.5),
        (b"250", 0.25),
        ("2147483647", 2147483.647),
        ("2147483648", STOP),
        ("9" * 10_000, STOP),
        ("-1", STOP),
        ("-0", STOP),
        ("+5", STOP),
        ("007", STOP),
        ("00", STOP),
        ("1.5", STOP),
        ("1e3", STOP),
        (" 5", STOP),
        ("", STOP),
        (b"", STOP),
        ("soon", STOP),
        ("²", STOP),
        ("٣", STOP),
        (b"\xff", STOP),
    ],
)
def test_pushback_is_a_plain_int32_or_a_stop(text: str | bytes | None, seconds: float | None) -> None:
    """gRFC A6: signed 32-bit ASCII without unnecessary leading zeros; negative or unparseable means do not retry."""
    assert seconds == parse_pushback(text)


@settings(max_examples=60, deadline=None)
@given(st.text("0123456789-+._e \n²٣", max_size=12) | st.binary(max_size=12))
def test_pushback_of_any_text_is_a_delay_or_a_stop(text: str | bytes) -> None:
    """What a server sends never raises."""
    seconds = parse_pushback(text)

    assert seconds == STOP or 0.0 <= seconds <= 2147483.647


@pytest.mark.parametrize(
    ("changes", "delay"),
    [
        ({}, 0.1),
        ({"attempt": 2}, 0.2),
        ({"attempt": 3}, None),
        ({"attempt": 4}, None),
        ({"retryable": False}, None),
        ({"retryable": False, "pushback": 0.5}, None),
        ({"pushback": 0.5}, 0.5),
        ({"pushback": 0.0}, 0.0),
        ({"pushback": STOP}, None),
        ({"pushback": 0.5, "attempt": 3}, None),
        ({"attempt": 2, "pushed_back": 1}, 0.1),
        ({"attempt": 3, "pushed_back": 1, "max_attempts": 5}, 0.2),
        ({"remaining": 0.11}, 0.1),
        ({"remaining": 0.1}, None),
        ({"remaining": 0.0, "pushback": 0.0}, None),
        ({"remaining": 1.0, "pushback": 2.0}, None),
    ],
)
def test_rules(changes: dict[str, Any], delay: float | None) -> None:
    assert delay == ask(**changes)


@pytest.mark.parametrize(
    ("attempt", "pushed_back", "waited", "most"),
    [(1, 0, 0.0, 0.3), (2, 0, 0.2, 0.6), (3, 1, 0.2, 0.6), (3, 2, 5.0, 0.3)],
)
def test_decorrelated_jitter_starts_anew_after_a_pushback(attempt, pushed_back, waited, most) -> None:
    """What the server asked for was no wait of ours."""
    backoff = Backoff(base=0.1, multiplier=2.0, max=10.0, jitter=Jitter.DECORRELATED)

    delay = ask(
        attempt=attempt, max_attempts=9, pushed_back=pushed_back, waited=waited, backoff=backoff, u=0.999999
    )

    assert most == pytest.approx(delay, rel=1e-3)


def test_budget_is_spent_by_retries_only() -> None:
    """A retry that another rule refuses costs nothing; a granted one costs one; an empty budget refuses."""
    budget = RetryBudget(ratio=0.0, floor=0.2, window=10.0, now=0.0)
    for refused in ({"attempt": 3}, {"retryable": False}, {"pushback": STOP}, {"remaining": 0.05}):
        assert ask(budget=budget, **refused) is None
    assert budget.balance(0.0) == 2.0

    assert [ask(budget=budget) for _ in range(3)] == [0.1, 0.1, None]
    assert budget.balance(0.0) == 0.0


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 12),
    st.integers(1, 10),
    st.booleans(),
    st.none() | st.just(STOP) | st.floats(0.0, 100.0),
    st.none() | st.floats(0.0, 100.0),
    st.floats(0.0, 1.0, exclude_max=True),
)
def test_no_attempt_too_many_or_too_late(
    attempt: int,
    max_attempts: int,
    retryable: bool,
    pushback: float | None,
    remaining: float | None,
    u: float,
) -> None:
    delay = ask(
        attempt=attempt,
        max_attempts=max_attempts,
        retryable=retryable,
        pushback=pushback,
        remaining=remaining,
        u=u,
        backoff=Backoff(base=0.1, multiplier=2.0, max=10.0, jitter=Jitter.FULL),
    )

    if delay is not None:
        assert retryable
        assert attempt < max_attempts
        assert pushback in {None, delay}
        assert delay >= 0.0
        assert remaining is None or delay < remaining
