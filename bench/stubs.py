"""Where the benchmark's stubs come from: `mesh generate` over bench/protos, once, into build/bench."""

from __future__ import annotations

import os
from pathlib import Path

from mesh.generate import Request, generate

_HERE = Path(__file__).parent
ROOT = _HERE.parent
OUT = ROOT / "build" / "bench"
DESCRIPTORS = OUT / "descriptors.binpb"


def make() -> None:
    """Bring the stubs up to date. Raises GenerateError."""
    OUT.mkdir(parents=True, exist_ok=True)
    generate(Request(folders=(_HERE / "protos",), out=OUT, descriptors=DESCRIPTORS))


def environment() -> dict[str, str]:
    """Return the environment for child processes: they import `bench` and the stubs, and are told nothing else."""
    # Whatever tells a process of the mesh what to be must not reach a contender.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MESH_", "OTEL_"))}
    return kept | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(OUT)))}
