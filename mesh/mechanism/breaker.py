"""Decides whether a target that has been failing may be called.

Rules, in the industry's sense of the words (closed passes, open rejects, half-open probes):

                  N failures in a row, or too many
                  failed or slow in the window
        +--------+                       +------+
        | CLOSED | --------------------> | OPEN | <-----------------+
        +--------+                       +------+                   |
            ^                                | its time is up       | any probe fails:
            |                                | and somebody asks    | open twice as long,
            |      every probe succeeded     v                      | at most max_open_for
            |                          +-----------+                |
            +------------------------- | HALF_OPEN | ---------------+
                                       +-----------+

1. A permit is the epoch it was issued in. Every transition begins a new epoch, and an answer to a permit of an
   earlier state is ignored: what was sent before an outage says nothing about the time after it.
2. Only a failure or a slow answer opens, so only a failure looks at the ratio of failures, and only a slow answer at
   that of slow ones; any other answer never does, even if it completes `minimum_calls`. A ratio opens when it is
   reached, not only when it is passed: 1.0 means "all of them".
3. `ok=None` says nothing about health: it frees the probe's slot, and neither ends nor extends a row of failures.
   Whether it was slow says nothing either: whoever gave up may have been in a hurry.
4. A half-open circuit sends `half_open_probes` probes and no more, in flight and succeeded together, and closes when
   that many succeeded. A slow probe has failed where slowness opens. A probe that said nothing is replaced.
5. Probes without an answer for as long as the circuit was last open are given up and a new round is sent, or a call
   that never ends (a hung backend, a stream that stays open) would reject all others for ever. Late answers of an
   earlier round still count; they only free no slot.
6. Closing resets everything: the windows, the row of failures, the time the next opening lasts.

Limits. `state` moves when somebody asks or records, not by itself: an open circuit whose time is up says OPEN until
the next `try_acquire`. One half-open round per opening time bounds what a dead target receives. A clock that goes
back lengthens an opening by one of the same length at most.
"""

from __future__ import annotations

import enum

from mesh.mechanism.window import RateWindow


class Circuit(enum.Enum):
    """Where a circuit breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitBreaker:
    """Stops calls to what keeps failing, and probes whether it still does. Not thread-safe.

    None for `consecutive_failures`, `failure_ratio` or `slow_call_ratio` switches that rule off. What is slow, whoever
    records knows. `state` and `transitions`, the number of state changes so far, are for reading only.
    """

    __slots__ = (
        "_consecutive_failures",
        "_epoch",
        "_failure_ratio",
        "_first_epoch",
        "_half_open_probes",
        "_max_open_for",
        "_minimum_calls",
        "_open_for",
        "_opening",
        "_probing",
        "_row",
        "_slow",
        "_slow_call_ratio",
        "_succeeded",
        "_until",
        "_window",
        "state",
        "transitions",
    )

    def __init__(
        self,
        *,
        consecutive_failures: int | None,
        failure_ratio: float | None,
        slow_call_ratio: float | None = None,
        minimum_calls: int,
        window: float,
        open_for: float,
        max_open_for: float,
        half_open_probes: int,
        now: float,
    ) -> None:
        self._consecutive_failures = consecutive_failures
        self._failure_ratio = failure_ratio
        self._slow_call_ratio = slow_call_ratio
        self._minimum_calls = minimum_calls
        self._open_for = open_for
        self._max_open_for = max_open_for
        self._half_open_probes = half_open_probes
        self._window = RateWindow(span=window, now=now)
        self._slow = RateWindow(span=window, now=now)
        self.state = Circuit.CLOSED
        self.transitions = 0
        self._epoch = 0  # of the permits issued now
        self._first_epoch = 0  # of this state: a half-open state has one epoch for each round of probes
        self._row = 0  # failures since the last success
        self._opening = open_for  # how long the present or next opening lasts
        self._until = now  # OPEN: when probing may start. HALF_OPEN: when unanswered probes are given up
        self._probing = 0  # probes of this round in flight
        self._succeeded = 0  # probes of this half-open state that succeeded

    def try_acquire(self, now: float) -> int | None:
        """Return a permit to hand back to `record`, or None: do not call."""
        if self.state is Circuit.CLOSED:
            return self._epoch
        if self.state is Circuit.OPEN:
            if self._is_early(now):
                return None
            self._move(Circuit.HALF_OPEN)
            self._until = now + self._opening
        elif self._probing + self._succeeded >= self._half_open_probes:
            if self._is_early(now):
                return None
            self._epoch += 1
            self._probing = 0
            self._until = now + self._opening
        self._probing += 1
        return self._epoch

    def record(self, permit: int, ok: bool | None, now: float, *, slow: bool = False) -> None:  # noqa: FBT001 - three-valued by design
        """Learn how a permitted call ended; None says nothing about health. Once for every permit."""
        if permit < self._first_epoch:
            return
        if self.state is Circuit.CLOSED:
            self._record_call(ok, slow, now)
        else:
            self._record_probe(permit, ok, slow, now)

    def retry_after(self, now: float) -> float:
        """Return the seconds until a call may be admitted; 0.0 when that is now, or hangs on a probe's answer."""
        if self.state is not Circuit.OPEN:
            return 0.0
        return min(self._opening, max(0.0, self._until - now))

    def _record_call(self, ok: bool | None, slow: bool, now: float) -> None:  # noqa: FBT001 - as `record`
        if ok is None:
            return
        if self._failure_ratio is not None:
            self._window.record(ok, now)
        if self._slow_call_ratio is not None:
            self._slow.record(not slow, now)
        self._row = 0 if ok else self._row + 1
        if (
            not ok
            and (
                self._row == self._consecutive_failures
                or self._is_reached(self._window, self._failure_ratio, now)
            )
        ) or (slow and self._is_reached(self._slow, self._slow_call_ratio, now)):
            self._open(now)

    def _record_probe(self, permit: int, ok: bool | None, slow: bool, now: float) -> None:  # noqa: FBT001 - as `record`
        if permit == self._epoch:
            self._probing -= 1
        if ok is None:
            return
        if not ok or (slow and self._slow_call_ratio is not None):
            self._opening = min(self._opening * 2.0, self._max_open_for)
            self._open(now)
            return
        self._succeeded += 1
        if self._succeeded >= self._half_open_probes:
            self._opening = self._open_for
            self._window.reset(now)
            self._slow.reset(now)
            self._move(Circuit.CLOSED)

    def _is_reached(self, window: RateWindow, ratio: float | None, now: float) -> bool:
        if ratio is None:
            return False
        total = window.total(now)
        return total >= self._minimum_calls and window.failures(now) >= ratio * total

    def _is_early(self, now: float) -> bool:
        if self._until - now > self._opening:  # the clock went back: it begins again
            self._until = now + self._opening
        return now < self._until

    def _open(self, now: float) -> None:
        self._until = now + self._opening
        self._move(Circuit.OPEN)

    def _move(self, state: Circuit) -> None:
        self.state = state
        self.transitions += 1
        self._epoch += 1
        self._first_epoch = self._epoch
        self._row = 0
        self._probing = 0
        self._succeeded = 0

    def __repr__(self) -> str:
        return (
            f"<CircuitBreaker {self.state.value} epoch={self._epoch} row={self._row} probing={self._probing}>"
        )
