"""How a `mesh.yaml` becomes an Environment: text, then proto, then checked values, with every problem on the way."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mesh.config import document
from mesh.config.diagnostic import Diagnostic, locate
from mesh.config.read import read
from mesh.config.spec import Environment
from mesh.errors import ConfigError
from mesh.policy.problem import Problem, Problems
from mesh.v1 import config_pb2

FILE_NAME = "mesh.yaml"


def load(file: str | Path) -> tuple[Environment | None, list[Diagnostic]]:
    """Read an environment; with problems there is no environment."""
    environment, diagnostics = examine(file)
    return (None if diagnostics else environment), diagnostics


def require(file: str | Path) -> Environment:
    """Read an environment; raise ConfigError with every problem."""
    environment, diagnostics = load(file)
    if environment is None:
        raise ConfigError(diagnostic.as_problem() for diagnostic in diagnostics)
    return environment


def examine(file: str | Path) -> tuple[Environment | None, list[Diagnostic]]:
    """Read an environment as far as it can be read, so that whoever checks more of it can find every problem at once."""
    path, shown = Path(file).absolute(), str(file)
    text = document.read_text(path, shown)
    if isinstance(text, Diagnostic):
        return None, [text]
    parsed = document.parse(text, config_pb2.Environment(), file=shown)
    if parsed.diagnostics and not parsed.lines:
        return None, parsed.diagnostics
    at = Problems()
    environment = read(parsed.message, at, file=path, lines=parsed.lines)
    found = locate(shown, parsed.lines, _consequent(at.list, parsed.diagnostics))
    return environment, sorted([*parsed.diagnostics, *found], key=lambda diagnostic: diagnostic.line or 0)


def current_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file that describes this process's environment: MESH_CONFIG, else ./mesh.yaml if there is one."""
    if environ.get("MESH_CONFIG"):
        return Path(environ["MESH_CONFIG"]).absolute()
    file = Path(FILE_NAME).absolute()
    return file if file.exists() else None


def current(environ: Mapping[str, str] = os.environ) -> Environment | None:
    """Return the environment of this process (MESH_CONFIG, else ./mesh.yaml); None when there is neither.

    Raises ConfigError with every problem of the file.
    """
    file = current_file(environ)
    return None if file is None else require(file)


def _consequent(problems: list[Problem], known: list[Diagnostic]) -> list[Problem]:
    """Drop what only follows from a value that could not be read: "name is required" beside "name is not text"."""
    return [
        problem
        for problem in problems
        if not any(diagnostic.path.startswith(problem.path) for diagnostic in known if diagnostic.path)
    ]
