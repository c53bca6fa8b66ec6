"""Decides whether one more may be in flight, under a fixed limit."""

from __future__ import annotations


class ConcurrencyLimit:
    """Counts what is in flight and refuses what exceeds `limit`. Not thread-safe.

    `limit` and `in_flight` are for reading only.
    """

    __slots__ = ("in_flight", "limit")

    def __init__(self, *, limit: int) -> None:
        self.limit = limit
        self.in_flight = 0

    def try_acquire(self) -> bool:
        """Take a slot if there is one; whoever gets True calls `release` once."""
        if self.in_flight >= self.limit:
            return False
        self.in_flight += 1
        return True

    def release(self) -> None:
        """Give a slot back."""
        self.in_flight -= 1

    def __repr__(self) -> str:
        return f"<ConcurrencyLimit {self.in_flight}/{self.limit}>"
