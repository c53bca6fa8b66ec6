"""Decides whether something may happen now, given a steady rate and an allowance for bursts."""

from __future__ import annotations

import math
from typing import Final

_ROUNDING: Final = 1e-6
"""Seconds added to every wait: more than floating point can lose, less than any timer resolves."""


class TokenBucket:
    """Refills `rate` tokens a second up to `burst`; starts full. Not thread-safe.

    Between any two moments no more than `burst + rate * elapsed` tokens are handed out. The refill is computed when
    somebody asks, so an idle bucket costs nothing. A clock that goes back refills nothing and takes nothing away.
    """

    __slots__ = ("_burst", "_rate", "_tokens", "_updated")

    def __init__(self, *, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._updated = now

    def try_take(self, now: float, tokens: float = 1.0) -> bool:
        """Take `tokens` if all of them are there, else none."""
        self._refill(now)
        if tokens > self._tokens:
            return False
        self._tokens -= tokens
        return True

    def wait(self, now: float, tokens: float = 1.0) -> float:
        """Return the seconds until `tokens` could be taken if nobody else took any; `inf` for never.

        Who waits that long and asks again is served: this is the number for Retry-After.
        """
        self._refill(now)
        if tokens <= self._tokens:
            return 0.0
        if tokens > self._burst or self._rate <= 0.0:
            return math.inf
        return (tokens - self._tokens) / self._rate + _ROUNDING

    def _refill(self, now: float) -> None:
        if now > self._updated:
            self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._rate)
            self._updated = now

    def __repr__(self) -> str:
        return f"<TokenBucket {self._tokens:g}/{self._burst:g} rate={self._rate:g}>"
