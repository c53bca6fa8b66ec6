"""How `mesh explain --why` shows where a method's policy comes from: one line for each field, its writer and the losers."""

from __future__ import annotations

from mesh.cli.place import Places
from mesh.config.diagnostic import locate
from mesh.config.spec import Environment
from mesh.policy.problem import Problem
from mesh.policy.provenance import Layer, Origin, Provenance


def render(provenance: Provenance, environment: Environment, places: Places) -> str:
    """Return the lines; places in the environment's file are given as problems in it are."""
    rows = [
        (origin.field, origin.value, _source(origin, environment, places)) for origin in provenance.origins
    ]
    name = max((len(row[0]) for row in rows), default=0)
    # A list of rules may be long; it does not push everything else to the right.
    value = max((len(row[1]) for row in rows if len(row[1]) <= 40), default=0)
    lines = [f"  {row[0]:<{name}}  {row[1]:<{value}}  {row[2]}" for row in rows]
    if provenance.absent:
        lines.append(f"  absent: {', '.join(provenance.absent)}")
    return "\n".join(["policy:", *lines])


def _source(origin: Origin, environment: Environment, places: Places) -> str:
    if origin.winner is None:
        return "built in"
    text = _place(origin.winner, origin.field, environment, places)
    if origin.over:
        text += f" (over {', '.join(f'{layer.name} {value}' for layer, value in origin.over)})"
    return text


def _place(layer: Layer, field: str, environment: Environment, places: Places) -> str:
    if not layer.path.startswith("policies"):
        file, line = places.get(layer.path, ("", None))
        where = ":".join(str(part) for part in (file, line) if part)
        return f"{where} {layer.name} of {layer.path}".strip()
    (found,) = locate(environment.file.name, environment.lines, [Problem(f"{layer.path}.{field}", "")])
    return f"{found.file}:{found.line} {layer.path.removeprefix('policies.')}"
