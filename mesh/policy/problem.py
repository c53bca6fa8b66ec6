"""How problems in what an operator wrote are collected: all of them, each with its path."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple


class Problem(NamedTuple):
    """One thing wrong, and where."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class Problems:
    """A cursor into one shared list: it knows its path, so that whoever reads a field need not."""

    __slots__ = ("list", "path")

    def __init__(self, path: str = "", shared: list[Problem] | None = None) -> None:
        self.path = path
        self.list: list[Problem] = [] if shared is None else shared

    def field(self, name: str) -> Problems:
        return Problems(f"{self.path}.{name}" if self.path else name, self.list)

    def item(self, index: int) -> Problems:
        return Problems(f"{self.path}[{index}]", self.list)

    def key(self, text: str) -> Problems:
        return Problems(f'{self.path}["{text}"]', self.list)

    def add(self, message: str) -> None:
        self.list.append(Problem(self.path, message))

    def __bool__(self) -> bool:
        """Whether anything was found anywhere in the shared list."""
        return bool(self.list)

    def __repr__(self) -> str:
        return f"<Problems at {self.path or 'the root'}: {len(self.list)}>"


def suggest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean "x"?` when a known name is near, else nothing."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""
