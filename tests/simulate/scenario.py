"""Scenarios for tests, as a user writes them: YAML in a file."""

from __future__ import annotations

import textwrap
from pathlib import Path

from mesh import simulate
from mesh.v1 import policy_pb2

EXAMPLES = Path(__file__).parents[2] / "examples/simulate"


def scenario(folder: Path, text: str, override: policy_pb2.Policy | None = None) -> simulate.Scenario:
    file = folder / "scenario.yaml"
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    return simulate.require(file, override=override)


def problems(folder: Path, text: str) -> list[str]:
    """Return what is wrong with a scenario, without the name of its file."""
    file = folder / "scenario.yaml"
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    found, diagnostics = simulate.load(file)
    assert (found is None) == bool(diagnostics)
    return [str(diagnostic).removeprefix(f"{file}:") for diagnostic in diagnostics]
