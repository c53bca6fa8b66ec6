"""How the durations of one method's calls are kept apart by status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Recorder(Protocol):
    """What takes values: a histogram of ours, or one that passes them on."""

    def record(self, value: float) -> None: ...


class Durations(dict[int, Recorder]):
    """One histogram for each status seen, made at its first sight: `durations[code].record(seconds)`.

    A dictionary, so that finding the histogram is no call of Python's on every call's path.
    """

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[int], Recorder]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, code: int) -> Recorder:
        recorder = self[code] = self._make(code)
        return recorder

    def __repr__(self) -> str:
        return f"<Durations {len(self)} statuses>"
