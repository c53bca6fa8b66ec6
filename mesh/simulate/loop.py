"""When things happen: virtual time, which jumps from one event to the next."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any


class Loop:
    """A queue of what is to be done when. What is due at the same time is done in the order in which it was asked for.

    `now` is for reading only.
    """

    __slots__ = ("_asked", "_queue", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._asked = 0

    def clock(self) -> float:
        """Return the virtual time, in seconds."""
        return self.now

    def after(self, seconds: float, action: Callable[[Any], None], argument: Any = None) -> None:
        """Call `action(argument)` that much later."""
        self._asked += 1
        heapq.heappush(self._queue, (self.now + seconds, self._asked, action, argument))

    def at(self, time: float, action: Callable[[Any], None], argument: Any = None) -> None:
        """Call `action(argument)` at that time, which is not over."""
        self._asked += 1
        heapq.heappush(self._queue, (time, self._asked, action, argument))

    def run(self) -> None:
        """Go on until nothing is left to do."""
        queue, pop = self._queue, heapq.heappop
        while queue:
            self.now, _, action, argument = pop(queue)
            action(argument)

    def __repr__(self) -> str:
        return f"<Loop at {self.now:g} s, {len(self._queue)} to do>"
