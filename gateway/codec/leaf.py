"""What the compilers need to know about a type whose JSON form is one value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Leaf(NamedTuple):
    """How one scalar or enum type is read."""

    read: Callable[[object], Any]
    """The Python value for a JSON value; raises ValueError for one that does not fit."""
    expected: str
    """What fits, in words: `expected {expected}, got ...`."""
    native: str
    """Source of the condition under which the JSON value `{v}` may be assigned as it is; empty when never."""
    uniform: Callable[[list[Any]], bool]
    """Whether every element of a JSON array may be assigned as it is, decided without a Python loop."""


def never(_: list[Any]) -> bool:
    """Say of every array that its elements must be read one by one."""
    return False
