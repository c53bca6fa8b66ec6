"""Decides how a concurrency limit follows signs of overload: up by one while all is well, down by a ratio at a sign.

Rules (TCP's additive increase, multiplicative decrease, in calls instead of segments):

1. A sign of overload is a call that failed (`ok=False`), or took longer than the threshold.
2. Signs of calls that began before the last decrease change nothing: one overload has many victims, and the limit has
   answered them already.
3. An answer without a sign raises the limit by its share of one, so by one for each limit's worth of answers, and only
   while at least half of the limit is used: a limit that nobody reaches has proved nothing.
4. The limit stays within [least, most]. `ok=None` says nothing.

Limits. Without a threshold only failures lower the limit, so the queue grows until calls fail; with one, latency stays
about there, whatever it would be without a queue.
"""

from __future__ import annotations


class Aimd:
    """Moves a concurrency limit by additive increase and multiplicative decrease. Not thread-safe."""

    __slots__ = ("_changed", "_least", "_limit", "_most", "_ratio", "_threshold")

    def __init__(
        self, *, initial: int, least: int, most: int, ratio: float, threshold: float | None, now: float
    ) -> None:
        self._limit = float(initial)
        self._least = least
        self._most = most
        self._ratio = ratio
        self._threshold = float("inf") if threshold is None else threshold
        self._changed = now

    @property
    def limit(self) -> int:
        """The limit from now on."""
        return int(self._limit)

    def learn(self, began: float, latency: float, ok: bool | None, now: float, use: float) -> None:  # noqa: FBT001 - three-valued by design
        """Learn from a call that ended; `use` is the share of the limit in flight, at least 1.0 after a refusal."""
        if ok is None:
            return
        if not ok or latency > self._threshold:
            if began >= self._changed or now < self._changed:  # or the clock went back
                self._limit = max(float(self._least), self._limit * self._ratio)
                self._changed = now
        elif use >= 0.5:
            self._limit = min(float(self._most), self._limit + 1.0 / self._limit)

    def __repr__(self) -> str:
        return f"<Aimd {self._limit:.1f} in [{self._least}, {self._most}]>"
