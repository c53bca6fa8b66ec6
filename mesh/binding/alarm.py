"""When a function is called that is to be called later: by one thread, that there is while it has something to wait for."""

from __future__ import annotations

import heapq
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Final

_LINGER: Final = 5.0
"""Seconds without anything to wait for, after which the thread ends: programs that set alarms set more.

It also looks this often whether there still is anything, because to cancel an alarm wakes nobody.
"""
_CROWDED: Final = 64
"""Alarms to hold before those that were cancelled are looked for."""

_log = logging.getLogger("mesh")


class Alarm:
    """A function that is called at its time, unless this is cancelled before."""

    __slots__ = ("_function", "due")

    def __init__(self, due: float, function: Callable[[], object]) -> None:
        self.due = due
        self._function: Callable[[], object] | None = function

    @property
    def is_set(self) -> bool:
        return self._function is not None

    def cancel(self) -> None:
        """Forget the function. Takes no lock and wakes nobody, so that finalizers may."""
        self._function = None

    def ring(self) -> None:
        """Call the function."""
        function, self._function = self._function, None
        if function is not None:
            function()

    def __repr__(self) -> str:
        return f"<Alarm at {self.due}{'' if self.is_set else ', off'}>"


class Alarms:
    """Calls functions at their time, which must not wait for anything. May be set from any thread, but no finalizer."""

    __slots__ = ("_lock", "_new", "_running")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._new: queue.SimpleQueue[Alarm] = queue.SimpleQueue()
        self._running = False

    def set(self, seconds: float, function: Callable[[], object]) -> Alarm:
        """Have the function called after so long; raise RuntimeError when there is no thread to be had."""
        alarm = Alarm(time.monotonic() + seconds, function)
        with self._lock:
            if not self._running:
                threading.Thread(target=self._run, name="mesh-alarms", daemon=True).start()
                self._running = True
            self._new.put(alarm)
        return alarm

    def _run(self) -> None:
        number = itertools.count()  # of two alarms at the same time the first comes first
        waiting: list[tuple[float, int, Alarm]] = []
        crowded = _CROWDED
        while True:
            seconds = min(waiting[0][0] - time.monotonic(), _LINGER) if waiting else _LINGER
            try:
                alarm = self._new.get(timeout=max(0.0, seconds))
                heapq.heappush(waiting, (alarm.due, next(number), alarm))
            except queue.Empty:
                if not waiting and self._ends():
                    return
            while waiting and (not waiting[0][2].is_set or waiting[0][0] <= time.monotonic()):
                _ring(heapq.heappop(waiting)[2])
            if len(waiting) >= crowded:
                waiting = [entry for entry in waiting if entry[2].is_set]
                heapq.heapify(waiting)
                crowded = max(_CROWDED, 2 * len(waiting))

    def _ends(self) -> bool:
        with self._lock:
            self._running = not self._new.empty()
            return not self._running

    def __repr__(self) -> str:
        return f"<Alarms {'running' if self._running else 'at rest'}>"


def _ring(alarm: Alarm) -> None:
    try:
        alarm.ring()
    except Exception:  # noqa: BLE001 - other alarms ring in this thread
        _log.exception("what was to be called later failed")
