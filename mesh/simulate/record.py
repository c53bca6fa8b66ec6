"""What is counted while a simulation runs: by the piece of time in which a call began."""

from __future__ import annotations

from array import array
from collections import Counter

from mesh.call import CODE_NAMES, Outcome
from mesh.simulate.loop import Loop


class Tally:
    """What is counted of one piece of time. `sent` and `wasted` are of the time itself; all else of its calls."""

    __slots__ = ("attempts", "calls", "latencies", "refused", "rejections", "sent", "statuses", "wasted")

    def __init__(self) -> None:
        self.calls = 0
        self.attempts = 0
        self.latencies = array("d")
        """Of calls that succeeded, in the order in which they ended."""
        self.statuses: Counter[str] = Counter()
        self.rejections: Counter[str] = Counter()
        """Calls that ended with a client's refusal, by stage."""
        self.refused: Counter[str] = Counter()
        """Attempts that a server's chain refused, by stage; of the time itself."""
        self.sent = 0
        """Attempts that arrived at backends."""
        self.wasted = 0
        """Calls that a backend finished for nobody."""

    def end(self, outcome: Outcome, seconds: float) -> None:
        """Count the end of one of its calls."""
        self.statuses[CODE_NAMES[outcome.code]] += 1
        if outcome.code == 0:
            self.latencies.append(seconds)
        elif outcome.rejected_by:
            self.rejections[outcome.rejected_by] += 1


class Record:
    """The tallies of a run, one for each piece of time, and one for what comes after the last."""

    __slots__ = ("_loop", "_slice", "tallies")

    def __init__(self, loop: Loop, *, slices: int, slice: float) -> None:  # noqa: A002 - the scenario's word
        self._loop = loop
        self._slice = slice
        self.tallies = [Tally() for _ in range(slices + 1)]

    def begin(self) -> Tally:
        """Count a call that begins; return where the rest of it is counted."""
        tally = self._tally()
        tally.calls += 1
        return tally

    def arrived(self) -> None:
        """Count an attempt that a backend receives."""
        self._tally().sent += 1

    def wasted(self) -> None:
        """Count work that was done for nobody."""
        self._tally().wasted += 1

    def refused(self, stage: str) -> None:
        """Count an attempt that a stage of a server refused."""
        self._tally().refused[stage] += 1

    def _tally(self) -> Tally:
        tallies = self.tallies
        return tallies[min(int(self._loop.now / self._slice), len(tallies) - 1)]
