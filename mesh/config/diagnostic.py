"""How a problem in a configuration file is shown: where it is, then what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mesh.policy.problem import Problem


class Diagnostic(NamedTuple):
    """One problem and the place it is at; prints as `mesh.yaml:12: services[1].instances: ...`."""

    file: str
    line: int | None
    """From 1; None where the problem is about the file as a whole, or a field that is not written in it."""
    column: int | None
    """From 1; only known for what is not even YAML."""
    path: str
    message: str

    def __str__(self) -> str:
        return str(self.as_problem())

    def as_problem(self) -> Problem:
        """Return it with the place in its path, for `mesh.errors.ConfigError`."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return Problem(": ".join(part for part in (place, self.path) if part), self.message)


def locate(file: str, lines: Mapping[str, int], problems: Iterable[Problem]) -> list[Diagnostic]:
    """Give each problem the line of its path, or of the nearest parent that is written; sorted by line."""
    found = [Diagnostic(file, _line(lines, path), None, path, message) for path, message in problems]
    return sorted(found, key=lambda diagnostic: diagnostic.line or 0)


def _line(lines: Mapping[str, int], path: str) -> int | None:
    while path:
        if path in lines:
            return lines[path]
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return None
