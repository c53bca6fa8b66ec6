"""Decides how a concurrency limit follows latency: what takes longer than it does without a queue, queues.

By Little's law a server with c places and a service time of s answers L calls in flight after max(s, L * s / c). So the
ratio of the latency without a queue (the baseline) to the latency now says how much of the limit is queue:

    limit' = limit * clamp(tolerance * baseline / latency, 0.5, 1) + sqrt(limit)

With the server saturated that settles at about `tolerance * c + sqrt(limit)`: never less than the server can do, and a
queue in proportion to it. The root is the room to find out that more would go (Envoy's gradient controller has it too).

Rules:

1. Time is cut into windows. A window counts only calls that began in it, so it sees what its limit did and not what the
   one before left behind; it ends with at least `_SAMPLES` calls, after at least `_SPAN` seconds.
2. The limit grows only if the window used at least half of it. A window that did not is one without a queue of ours: it
   teaches the baseline, and moves nothing.
3. A window faster than the baseline is the new baseline, at once.
4. What is busy all the time never shows its latency without a queue. So it is looked for: for one window the limit is
   lowered to `limit / (2 * tolerance)`, which by the sum above is below what the server can do; what that window sees is
   the new baseline, faster or slower. Then the limit is back where it was. (BBR does this to find a path's round trip.)
   That is done in the first window that uses the limit, after `_ROUNDS` of them in a row, and when the limit has fallen
   below `_FELL` of where it was the last time: then that baseline held some of the queue, or work takes longer by now.
   The window begins when no more is in flight than it allows; calls that hang may keep it from beginning or ending, so
   it is given up after `_PATIENCE` times the latency of the window before.
5. A failure (`ok=False`) counts if it took longer than the baseline: a call that timed out is a slow one, while one that
   was refused at once would pass for a fast one. `ok=None` says nothing, nor does a call that took no time at all.
6. The limit stays within [least, most].
7. When the clock goes back behind the beginning of the window, the window begins again.

Limits. Latencies are means, so the ratio suits methods whose calls cost about the same. One window in `_ROUNDS` refuses
more than the server would have to.
"""

from __future__ import annotations

import math
from typing import Final

_SAMPLES: Final = 10
_SPAN: Final = 0.05
_ROUNDS: Final = 50
_FELL: Final = 0.75
_PATIENCE: Final = 20.0
_USED: Final = 0.5
_FALL: Final = 0.5
"""The most that is taken from the limit in one window."""
_SETTLING: Final = 0.2
"""How fast the baseline follows windows without a queue that were slower."""


class Gradient:
    """Moves a concurrency limit by the gradient of latency. Not thread-safe. `baseline` is for reading only."""

    __slots__ = (
        "_began",
        "_count",
        "_least",
        "_limit",
        "_looked",
        "_most",
        "_probing_until",
        "_restored",
        "_rounds",
        "_sum",
        "_tolerance",
        "_use",
        "baseline",
    )

    def __init__(self, *, initial: int, least: int, most: int, tolerance: float, now: float) -> None:
        self._limit = float(initial)
        self._least = least
        self._most = most
        self._tolerance = tolerance
        self.baseline = 0.0
        """Seconds a call takes without a queue, as far as is known; 0.0 before the first window."""
        # The limit after the window that looks for the baseline; 0.0 in any other window.
        self._restored = 0.0
        self._probing_until = now  # when that window is given up
        self._rounds = 0  # windows in a row that used the limit
        self._looked = math.inf  # the limit when the baseline was last looked for
        self._began = now
        self._count = 0
        self._sum = 0.0
        self._use = 0.0

    @property
    def limit(self) -> int:
        """The limit from now on."""
        return int(self._limit)

    def learn(self, began: float, latency: float, ok: bool | None, now: float, use: float) -> None:  # noqa: FBT001 - three-valued by design
        """Learn from a call that ended; `use` is the share of the limit in flight, at least 1.0 after a refusal."""
        if self._restored:
            if now >= self._probing_until or now < self._began:
                self._restore(now)
            elif use > 1.0:
                self._open(now)
        elif now < self._began:
            self._open(now)
        self._use = max(self._use, use)
        if ok is None or began < self._began or latency <= (0.0 if ok else self.baseline):
            return
        self._count += 1
        self._sum += latency
        if self._count >= _SAMPLES and now - self._began >= _SPAN:
            self._close(self._sum / self._count, now)

    def _close(self, latency: float, now: float) -> None:
        if self._restored:
            self.baseline = latency
            self._restore(now)
            return
        if not self.baseline or latency < self.baseline:
            self.baseline = latency
        if self._use < _USED:
            self.baseline += (latency - self.baseline) * _SETTLING
            self._rounds = 0
        else:
            self._move(latency, now)
        self._open(now)

    def _move(self, latency: float, now: float) -> None:
        gradient = min(1.0, max(_FALL, self._tolerance * self.baseline / latency))
        self._limit = self._within(self._limit * gradient + math.sqrt(self._limit))
        self._rounds += 1
        if self._rounds >= _ROUNDS or self._limit < _FELL * self._looked:
            self._rounds = 0
            self._restored = self._looked = self._limit
            self._limit = self._within(self._limit / (2.0 * self._tolerance))
            self._probing_until = now + _PATIENCE * latency + _SPAN

    def _restore(self, now: float) -> None:
        self._limit, self._restored = self._restored, 0.0
        self._open(now)

    def _open(self, now: float) -> None:
        """Begin a window."""
        self._began = now
        self._count = 0
        self._sum = 0.0
        self._use = 0.0

    def _within(self, limit: float) -> float:
        return min(float(self._most), max(float(self._least), limit))

    def __repr__(self) -> str:
        return f"<Gradient {self._limit:.1f} in [{self._least}, {self._most}] baseline={self.baseline:g}>"
