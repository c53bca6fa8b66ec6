"""Decides how long to wait before a retry: exponential growth to a cap, then jitter."""

from __future__ import annotations

import enum


class Jitter(enum.Enum):
    """How a wait is randomised, so that callers who failed together do not come back together."""

    NONE = "none"
    """Not at all: the computed wait."""
    FULL = "full"
    """Anything from nothing to the computed wait: least load on what is recovering."""
    PROPORTIONAL = "proportional"
    """The computed wait, 20 % more or less, as gRPC's own retries do; may exceed the cap by that much."""
    DECORRELATED = "decorrelated"
    """Anything from the base to three times the wait before, up to the cap: how long this caller waited decides, not how
    often it tried.
    """


class Backoff:
    """Computes waits: `min(base * multiplier ** (retry - 1), max)`, jittered. Stateless.

    Decorrelated: `min(max, between base and 3 * the wait before)`, without the multiplier.
    """

    __slots__ = ("_base", "_jitter", "_max", "_multiplier")

    def __init__(
        self,
        *,
        base: float,
        multiplier: float,
        max: float,  # noqa: A002 - the policy's word; the built-in is not needed here
        jitter: Jitter,
    ) -> None:
        self._base = base
        self._multiplier = multiplier
        self._max = max
        self._jitter = jitter

    def delay(self, retry_number: int, u: float, waited: float = 0.0) -> float:
        """Return the seconds to wait before retry `retry_number`, counted from 1; `u` is uniform in [0, 1).

        `waited` is the wait before the attempt that has just failed, 0.0 if there was none.
        """
        if self._jitter is Jitter.DECORRELATED:
            widest = 3.0 * max(self._base, waited)
            return min(self._base + (widest - self._base) * u, self._max)
        try:
            computed = min(self._base * self._multiplier ** (retry_number - 1), self._max)
        except OverflowError:
            computed = self._max
        if self._jitter is Jitter.FULL:
            return computed * u
        if self._jitter is Jitter.PROPORTIONAL:
            return computed * (0.8 + 0.4 * u)
        return computed

    def __repr__(self) -> str:
        return f"<Backoff {self._base:g} s * {self._multiplier:g}^n up to {self._max:g} s, {self._jitter.value} jitter>"
