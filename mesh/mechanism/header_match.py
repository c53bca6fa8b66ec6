"""Whether the metadata of a request is what a rule asks for."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable

Pairs = Iterable[tuple[str, str | bytes]]


class MatchKind(enum.Enum):
    """How a value is looked at."""

    EXACT = "is"
    PREFIX = "begins with"
    REGEX = "matches"
    PRESENT = "is present"
    ABSENT = "is absent"


class HeaderMatcher:
    """One condition. Of metadata given twice either value may meet it; bytes meet none, but are present."""

    __slots__ = ("_kind", "_name", "_pattern", "_value")

    def __init__(self, *, name: str, kind: MatchKind, value: str = "") -> None:
        self._name = name
        self._kind = kind
        self._value = value
        self._pattern = re.compile(value if kind is MatchKind.REGEX else "")

    def matches(self, metadata: Pairs) -> bool:
        """Whether the metadata meets the condition."""
        values = [value for name, value in metadata if name == self._name]
        if self._kind is MatchKind.PRESENT:
            return bool(values)
        if self._kind is MatchKind.ABSENT:
            return not values
        return any(isinstance(value, str) and self._meets(value) for value in values)

    def _meets(self, value: str) -> bool:
        if self._kind is MatchKind.EXACT:
            return value == self._value
        if self._kind is MatchKind.PREFIX:
            return value.startswith(self._value)
        return self._pattern.fullmatch(value) is not None

    def __repr__(self) -> str:
        return f"<HeaderMatcher {self._name} {self._kind.value} {self._value}>"
