"""How time reaches an `Ear` in threads: the thread of the alarms looks at a client's call, and ends what is over."""

from __future__ import annotations

from collections.abc import Callable

from mesh.binding.alarm import Alarm, Alarms
from mesh.binding.drive_sync import Turns
from mesh.binding.hearing import Ear


class Watch:
    """Looks at the time of one call whenever it may be up, until its flow ends."""

    __slots__ = ("_alarm", "_alarms", "_ear", "_over", "_stop", "_turns")

    def __init__(self, ear: Ear, turns: Turns, alarms: Alarms) -> None:
        """Have the flow, of which nothing runs yet, cancel this when it ends."""
        ear.alarm = self
        self._ear = ear
        self._turns = turns
        self._alarms = alarms
        self._alarm: Alarm | None = None
        self._over = False
        self._stop: Callable[[], object] = _ignore

    def begin(self, stop: Callable[[], object]) -> None:
        """Look now and whenever it is due; `stop` ends a call whose time is up."""
        self._stop = stop
        self._ring()

    def cancel(self) -> None:
        """Look no more: the flow has ended. Takes no lock, because finalizers end flows."""
        self._over = True
        if self._alarm is not None:
            self._alarm.cancel()

    def _ring(self) -> None:
        if self._turns.take(self._look):
            self._stop()

    def _look(self) -> bool:
        """Return whether the call has to end now; in turn with its flow, so that none is ended that has ended by itself."""
        if self._over:
            return False
        seconds = self._ear.look()
        if seconds is not None:
            self._alarm = self._alarms.set(seconds, self._ring)
        return self._ear.verdict is not None

    def __repr__(self) -> str:
        return f"<Watch of {self._ear!r}{', over' if self._over else ''}>"


def _ignore() -> None:
    """Do nothing: the call has not begun."""
