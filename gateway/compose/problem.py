"""What is wrong with a composition, where: every problem carries the path a person would look under."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple


class Problem(NamedTuple):
    """One reason why a composition cannot be compiled."""

    path: str
    """`shop.v1.StorefrontService.GetPage (gateway.v1.compose).steps[2].request["product_id"]`."""
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class Place:
    """A cursor: one path into the composition, and the list that everything found is added to."""

    __slots__ = ("_path", "problems")

    def __init__(self, path: str, problems: list[Problem]) -> None:
        self._path = path
        self.problems = problems

    def field(self, name: str) -> Place:
        return Place(f"{self._path}.{name}", self.problems)

    def index(self, index: int) -> Place:
        return Place(f"{self._path}[{index}]", self.problems)

    def key(self, key: str) -> Place:
        return Place(f'{self._path}["{key}"]', self.problems)

    def add(self, message: str) -> None:
        self.problems.append(Problem(self._path, message))

    def __repr__(self) -> str:
        return f"<Place {self._path} problems={len(self.problems)}>"


def suggest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean "..."?` when one of the known names is close, else an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f'; did you mean "{close[0]}"?' if close else ""
