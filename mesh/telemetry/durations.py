"""How the durations of one method's calls are kept apart by status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Recorder(Protocol):
    """What takes values: a histogram of ours, or one that passes them on."""

    def record(self, value: float) -> None: ...


class Durations:
    """One histogram for each status seen, made at its first sight."""

    __slots__ = ("_by_code", "_make")

    def __init__(self, make: Callable[[int], Recorder]) -> None:
        self._by_code: dict[int, Recorder] = {}
        self._make = make

    def record(self, code: int, seconds: float) -> None:
        """Count one call or attempt."""
        histogram = self._by_code.get(code)
        if histogram is None:
            histogram = self._by_code[code] = self._make(code)
        histogram.record(seconds)

    def __repr__(self) -> str:
        return f"<Durations {len(self._by_code)} statuses>"
