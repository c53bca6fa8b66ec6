"""Which of several choices a draw falls on, by their weights; and the draw that always falls the same for one text."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

_BITS: Final = 53
"""As many as a float in [0, 1) has."""


class Split:
    """Choices with weights. Each owns a stretch of [0, 1): moving a boundary moves only the draws it passes over."""

    __slots__ = ("_bounds",)

    def __init__(self, *, weights: Sequence[int]) -> None:
        """`weights` has a positive sum."""
        self._bounds = tuple(accumulate(weights))

    def pick(self, u: float) -> int:
        """Return the index of the choice that owns `u`."""
        return bisect_right(self._bounds, u * self._bounds[-1])

    def __repr__(self) -> str:
        return f"<Split {self._bounds}>"


def draw(text: str | bytes) -> float:
    """Return a number in [0, 1) that depends on the text alone: the same in every process, on every machine."""
    data = text if isinstance(text, bytes) else text.encode()
    digest = hashlib.blake2b(data, digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> (64 - _BITS)) / (1 << _BITS)
