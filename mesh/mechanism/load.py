"""Decides how busy a server is: calls in flight, calls a second, errors a second."""

from __future__ import annotations

from mesh.mechanism.window import RateWindow


class Load:
    """Tracks the calls of one server for its ORCA load report. Not thread-safe.

    Rates count calls when they end, over the last `window` seconds. Utilisation is not ours to know: whoever reports
    measures the CPU and puts both together. `in_flight` is for reading only.
    """

    __slots__ = ("_ended", "in_flight")

    def __init__(self, *, window: float = 10.0, now: float) -> None:
        self._ended = RateWindow(span=window, now=now)
        self.in_flight = 0

    def begin(self, now: float) -> None:  # noqa: ARG002 - the pair of `end`; that rates count at the end is ours
        """Count a call that starts; whoever calls this calls `end` once."""
        self.in_flight += 1

    def end(self, now: float, ok: bool | None) -> None:  # noqa: FBT001 - three-valued by design
        """Count a call that ended; None (cancelled, invalid argument) is a call and no error."""
        self.in_flight -= 1
        self._ended.record(ok is not False, now)

    def rates(self, now: float) -> tuple[float, float]:
        """Return calls and errors a second."""
        seconds = self._ended.covered(now)
        return self._ended.total(now) / seconds, self._ended.failures(now) / seconds

    def __repr__(self) -> str:
        return f"<Load in_flight={self.in_flight} {self._ended!r}>"
