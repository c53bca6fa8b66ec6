"""Where the benchmark's stubs come from: `mesh generate` over bench/protos, once, into build/bench."""

from __future__ import annotations

import os
import sys
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


def make_importable() -> None:
    """Let this process import `store.v1`."""
    sys.path.insert(0, str(OUT))


def environment() -> dict[str, str]:
    """Return the environment for child processes: they import `bench`, and compiled modules are kept."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    # Whatever tells a process of the mesh what to be must not reach a contender.
    environ = {name: value for name, value in environ.items() if not name.startswith(("MESH_", "OTEL_"))}
    return environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), environ.get("PYTHONPATH", "")))}
