"""Decides whether something may happen now, given a steady rate and an allowance for bursts, for each of many keys.

The generic cell rate algorithm: of each key one number is kept, the time at which its next call would be due if all came
evenly spaced. A call may be as early as the burst allows.

    due' = max(due, now) + 1/rate            allowed if  now >= due - (burst - 1)/rate

It allows what a bucket of `burst` tokens refilled at `rate` allows: between any two moments no more than
`burst + rate * elapsed`. A key whose time is past is as good as one never seen, so nothing has to be refilled.

Limits. No more than `most` keys are remembered; those not asked for longest are forgotten first and begin anew, so a
flood of new keys lets a busy one begin anew. A clock that goes back by more than a call's share of time lets a key
begin anew, one that goes back by less delays by as much.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable


class KeyedRate:
    """Allows each key `rate` calls a second and `burst` at once. Not thread-safe."""

    __slots__ = ("_allowance", "_due", "_interval", "_most")

    def __init__(self, *, rate: float, burst: int, most: int) -> None:
        self._interval = 1.0 / rate
        self._allowance = (burst - 1) * self._interval
        self._most = most
        self._due: OrderedDict[Hashable, float] = OrderedDict()

    def wait(self, key: Hashable, now: float) -> float:
        """Return the seconds until the key may call; 0.0 when that is now. Who waits that long and asks again may."""
        due = self._due.get(key)
        if due is None:
            return 0.0
        wait = due - self._allowance - now
        if wait > 2.0 * self._interval:  # no call makes it wait longer than one: the clock went back
            del self._due[key]
            return 0.0
        self._due.move_to_end(key)
        return max(0.0, wait)

    def take(self, key: Hashable, now: float) -> None:
        """Count a call of the key, which was told not to wait."""
        self._due[key] = max(self._due.get(key, now), now) + self._interval
        if len(self._due) > self._most:
            self._due.popitem(last=False)

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._due)

    def __repr__(self) -> str:
        return f"<KeyedRate {1.0 / self._interval:g}/s for {len(self._due)} keys>"
