"""How results are drawn: goodput, attempts per call, latency and circuits over time, one line for each policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from mesh.errors import MeshError
from mesh.simulate.result import Result, Slice

FORMATS: Final = (".svg", ".png")
"""What a file can be, by the end of its name."""

_PANELS: Final[tuple[tuple[str, Callable[[Slice], float]], ...]] = (
    ("goodput, calls/s", lambda piece: piece.goodput),
    ("attempts per call", lambda piece: piece.attempts_per_call),
    ("load on backends, attempts/s", lambda piece: piece.load),
    ("p99 of successes, s", lambda piece: piece.p99),
    ("open circuits, clients", lambda piece: float(piece.circuits.open)),
)


def plot(results: Mapping[str, Result], file: Path) -> None:
    """Draw results, by the names of their policies, into a file that ends with .svg or .png.

    Raises MeshError when matplotlib is not installed. The same results give the same bytes.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MeshError("plots need matplotlib: pip install 'grpc-mesh[simulate]'") from error
    # Ids in the SVG are random otherwise.
    with mpl.rc_context({"svg.hashsalt": "mesh"}):
        figure = Figure(figsize=(10, 2.2 * len(_PANELS)), layout="constrained")
        panels = figure.subplots(len(_PANELS), 1, sharex=True)
        for axes, (label, value) in zip(panels, _PANELS, strict=True):
            for name, result in results.items():
                axes.plot(
                    [piece.begin for piece in result.slices],
                    [value(piece) for piece in result.slices],
                    label=name,
                )
            axes.set_ylabel(label)
            axes.set_ylim(bottom=0)
            axes.grid(visible=True, alpha=0.3)
        first = next(iter(results.values()))
        panels[0].plot(
            [piece.begin for piece in first.slices],
            [piece.offered for piece in first.slices],
            label="offered",
            color="grey",
            linestyle=":",
        )
        panels[0].legend()
        panels[0].set_title(first.name)
        panels[-1].set_xlabel("time, s")
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
