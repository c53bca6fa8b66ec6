"""Decides what counts as recent: successes and failures of the last `span` seconds.

Rules. Time is cut into `buckets` equal pieces kept in a ring. An event is counted in the newest piece; when a piece
grows older than the span, all of it is forgotten at once.

    oldest                                       newest
    [ 3/0 ][ 5/1 ][ 4/0 ][  ...  ][ 6/2 ][ 2/0 )       calls/failures, each bucket span/buckets seconds wide
      ^ forgotten when the newest bucket is full: its place in the ring becomes the next newest

Limits. The edge is coarse: an event is certainly counted for `span - span/buckets` seconds and certainly forgotten
after `span`. Memory is two integers a bucket, whatever the traffic. A clock that goes back counts into the newest
bucket; one that goes back by more than the span begins anew.
"""

from __future__ import annotations


class RateWindow:
    """Counts successes and failures over a sliding span of seconds. Not thread-safe."""

    __slots__ = (
        "_begins",
        "_calls",
        "_ends",
        "_failures",
        "_newest",
        "_since",
        "_total",
        "_total_failures",
        "_width",
    )

    def __init__(self, *, span: float, buckets: int = 10, now: float) -> None:
        self._width = span / buckets
        self._calls = [0] * buckets
        self._failures = [0] * buckets
        self._total = 0
        self._total_failures = 0
        self._newest = 0  # index of the bucket that counts now
        self._ends = now + self._width  # when that bucket is full
        self._begins = now - span  # no time of ours is before this
        self._since = now

    def record(self, ok: bool, now: float) -> None:  # noqa: FBT001 - success is the one thing recorded
        """Count one event."""
        if not self._begins <= now < self._ends:
            self._roll(now)
        self._calls[self._newest] += 1
        self._total += 1
        if not ok:
            self._failures[self._newest] += 1
            self._total_failures += 1

    def total(self, now: float) -> int:
        """Return the events of the span, failures included."""
        if not self._begins <= now < self._ends:
            self._roll(now)
        return self._total

    def failures(self, now: float) -> int:
        """Return the failures of the span."""
        if not self._begins <= now < self._ends:
            self._roll(now)
        return self._total_failures

    def covered(self, now: float) -> float:
        """Return the seconds the counts stand for, which a rate divides by.

        Less than the span while the newest bucket is filling or the window is young, and never less than one bucket:
        one event in the first millisecond is not a thousand a second.
        """
        if not self._begins <= now < self._ends:
            self._roll(now)
        filling = max(0.0, now - (self._ends - self._width))
        return max(self._width, min(now - self._since, (len(self._calls) - 1) * self._width + filling))

    def reset(self, now: float) -> None:
        """Forget everything and start again."""
        self._since = now
        self._clear(now)

    def _roll(self, now: float) -> None:
        if now < self._begins:
            self.reset(now)
            return
        if now - self._ends >= self._width * (len(self._calls) - 1):
            self._clear(now)
            return
        # One at a time, not by division: rounding must not leave a bucket that is full already at `now`, or the same
        # question at the same time would get two answers.
        while now >= self._ends:
            self._newest = (self._newest + 1) % len(self._calls)
            self._total -= self._calls[self._newest]
            self._total_failures -= self._failures[self._newest]
            self._calls[self._newest] = 0
            self._failures[self._newest] = 0
            self._ends += self._width
        self._begins = self._ends - self._width * (len(self._calls) + 1)

    def _clear(self, now: float) -> None:
        self._calls[:] = [0] * len(self._calls)
        self._failures[:] = [0] * len(self._calls)
        self._newest = 0
        self._total = 0
        self._total_failures = 0
        self._ends = now + self._width
        self._begins = now - self._width * len(self._calls)

    def __repr__(self) -> str:
        span = self._width * len(self._calls)
        return f"<RateWindow {self._total} calls, {self._total_failures} failures in {span:g} s>"
