"""A breaker as tests begin with it, and a call through it."""

from __future__ import annotations

from typing import Any

from mesh.mechanism.breaker import CircuitBreaker

DEFAULTS: dict[str, Any] = {
    "consecutive_failures": 3,
    "failure_ratio": None,
    "slow_call_ratio": None,
    "minimum_calls": 1,
    "window": 100.0,
    "open_for": 1.0,
    "max_open_for": 4.0,
    "half_open_probes": 1,
}


def breaker(**changes: Any) -> CircuitBreaker:
    return CircuitBreaker(**{**DEFAULTS, "now": 0.0, **changes})


def call(subject: CircuitBreaker, ok: bool | None, now: float) -> int:
    permit = subject.try_acquire(now)
    assert permit is not None
    subject.record(permit, ok, now)
    return permit
