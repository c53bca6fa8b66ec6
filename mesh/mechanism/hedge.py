"""Decides when another attempt may join those that run, and whether a failure leaves room for one.

Rules (gRFC A6, "Hedging Policy"):

- After each attempt that starts, the next one waits for the hedging delay: fixed, or a percentile of how long first
  attempts took lately, once enough were seen.
- "If a non-fatal status code is received from a hedged request, then the next hedged request in line is sent
  immediately, shortcutting its hedging delay."
- "If the pushback says not to retry, no further hedged requests will be sent. If the pushback says to retry after a
  given delay, the next hedged request (if any) will be issued after the given delay has elapsed."
- No attempt starts that would have no time: at or after the deadline.

How long a first attempt took is known exactly when it answered. One that ran out of time took at least as long as it was
left running: if that is no less than the delay, it counts as that; if it is less, nothing is known but that the caller was
in a hurry. One that lost against a later attempt is left out: where a tenth of the endpoints is slow, the 95th percentile of
all attempts would be their latency, and the hedge would wait for what it should overtake (ADR 10). The delay does not sink
for it, since slow attempts that win all the same are counted.
"""

from __future__ import annotations

from mesh.mechanism.percentile import Percentile


class FixedDelay:
    """The same delay always."""

    __slots__ = ("_seconds",)

    def __init__(self, *, seconds: float) -> None:
        self._seconds = seconds

    def delay(self) -> float | None:
        return self._seconds

    def record(self, seconds: float, *, cut_off: bool) -> None:
        """Learn nothing."""

    def __repr__(self) -> str:
        return f"<FixedDelay {self._seconds:g} s>"


class PercentileDelay:
    """A percentile of the latencies recorded. Not thread-safe."""

    __slots__ = ("_latency", "_least", "_minimum")

    def __init__(self, *, percentile: float, minimum_calls: int, least: float) -> None:
        self._latency = Percentile(percentile=percentile)
        self._minimum = minimum_calls
        self._least = least

    def delay(self) -> float | None:
        """Return the seconds to wait; None while too little is known."""
        if self._latency.seen < self._minimum:
            return None
        return max(self._least, self._latency.estimate())

    def record(self, seconds: float, *, cut_off: bool) -> None:
        """Learn how long a first attempt took, or was left running until its time was up."""
        if not cut_off or seconds >= (self.delay() or float("inf")):
            self._latency.record(seconds)

    def __repr__(self) -> str:
        return f"<PercentileDelay of {self._latency!r}>"


def wait(*, attempt: int, max_attempts: int, delay: float | None, remaining: float | None) -> float | None:
    """Return the seconds until another attempt may join, or None: none will.

    `attempt` is how many were started; `delay` what to wait, None while it is not known; `remaining` the seconds left for
    an attempt to start in, None without a deadline.
    """
    if attempt >= max_attempts or delay is None or (remaining is not None and delay >= remaining):
        return None
    return delay


def after_failure(
    *, attempt: int, max_attempts: int, pushback: float | None, remaining: float | None
) -> float | None:
    """Return the seconds until the next attempt, when one of those that run has failed; None: there will be no other.

    `pushback` is what the server wishes: None: nothing; negative: no further attempt.
    """
    if pushback is not None and pushback < 0.0:
        return None
    return wait(attempt=attempt, max_attempts=max_attempts, delay=pushback or 0.0, remaining=remaining)
