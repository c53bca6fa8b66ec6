"""How results are shown to a person: one row for each stretch of time, then the totals side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mesh.simulate.result import Result, Slice, Summary

Paint = Callable[[str, str], str]
"""Colours a text, given the name of the colour."""

_HEAD: Final = (
    "from s", "offered/s", "goodput/s", "ok", "attempts/call", "load/s", "wasted/s", "p50 ms", "p99 ms", "circuits",
    "refused by",
)  # fmt: skip
_WIDTHS: Final = (7, 9, 9, 6, 13, 8, 8, 8, 8, 9)


def plain(text: str, colour: str) -> str:  # noqa: ARG001 - a Paint
    """Leave the text as it is."""
    return text


def render(results: Mapping[str, Result], *, rows: int = 30, paint: Paint = plain) -> str:
    """Render results by the names of their policies; at most `rows` rows of time for each."""
    parts = []
    for name, result in results.items():
        parts.append(
            "\n".join(
                (
                    paint(f"{result.name}, seed {result.seed}: {name}", "bold"),
                    *_rows(result, rows, paint),
                )
            )
        )
    parts.append("\n".join(_totals(results, paint)))
    return "\n\n".join(parts)


def _rows(result: Result, rows: int, paint: Paint) -> list[str]:
    step = math.ceil(len(result.slices) / rows)
    lines = [
        "  ".join(f"{head:>{width}}" for head, width in zip(_HEAD, _WIDTHS, strict=False)) + f"  {_HEAD[-1]}"
    ]
    for first in range(0, len(result.slices), step):
        pieces = result.slices[first : first + step]
        summary = result.between(pieces[0].begin, pieces[-1].end)
        line = "  ".join(
            f"{cell:>{width}}" for cell, width in zip(_cells(summary, pieces[-1]), _WIDTHS, strict=True)
        )
        refused = ", ".join(
            f"{stage} {count}" for stage, count in {**summary.rejections, **summary.refused}.items()
        )
        lines.append(paint(f"{line}  {refused}".rstrip(), _colour(summary)))
    lines.append("circuits: clients whose circuit is closed/half-open/open at the end of the row")
    return lines


def _cells(summary: Summary, last: Slice) -> tuple[str, ...]:
    circuits = last.circuits
    return (
        f"{summary.begin:g}",
        f"{summary.offered:.0f}",
        f"{summary.goodput:.0f}",
        _percent(summary.success_ratio),
        _number(summary.attempts_per_call, "{:.2f}"),
        f"{summary.load:.0f}",
        f"{summary.wasted / (summary.end - summary.begin):.0f}",
        _number(summary.p50 * 1000, "{:.1f}"),
        _number(summary.p99 * 1000, "{:.1f}"),
        "/".join(map(str, circuits)) if any(circuits) else "-",
    )


def _totals(results: Mapping[str, Result], paint: Paint) -> list[str]:
    width = max(12, *(len(name) for name in results))
    lines = [paint("  ".join([f"{'total':<24}", *(f"{name:>{width}}" for name in results)]), "bold")]
    for label, cell in _FIGURES:
        cells = [f"{cell(result.total):>{width}}" for result in results.values()]
        lines.append("  ".join([f"{label:<24}", *cells]))
    return lines


_FIGURES: Final[Sequence[tuple[str, Callable[[Summary], str]]]] = (
    ("calls", lambda total: str(total.calls)),
    ("goodput/s", lambda total: f"{total.goodput:.1f}"),
    ("succeeded", lambda total: _percent(total.success_ratio)),
    ("attempts per call", lambda total: _number(total.attempts_per_call, "{:.3f}")),
    ("load on backends/s", lambda total: f"{total.load:.1f}"),
    ("done for nobody", lambda total: str(total.wasted)),
    ("p50 of successes, ms", lambda total: _number(total.p50 * 1000, "{:.1f}")),
    ("p99 of successes, ms", lambda total: _number(total.p99 * 1000, "{:.1f}")),
)


def _colour(summary: Summary) -> str:
    if math.isnan(summary.success_ratio):
        return ""
    return "red" if summary.success_ratio < 0.5 else "yellow" if summary.success_ratio < 0.99 else ""


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{share:.1%}"


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else form.format(value)
