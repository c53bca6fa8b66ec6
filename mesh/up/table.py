"""How the rows of a running environment look: a table for people, a line for logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mesh.up.measure import Row

if TYPE_CHECKING:
    from rich.table import Table

_COLUMNS = ("service", "healthy", "calls/s", "success", "p50", "p99", "restarts")


def table(rows: Sequence[Row]) -> Table:
    """Return a table for `rich`."""
    from rich import box
    from rich.table import Table

    found = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(_COLUMNS):
        found.add_column(name, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        style = "" if row.healthy == row.instances else "red" if not row.healthy else "yellow"
        found.add_row(*_cells(row), style=style)
    return found


def line(rows: Sequence[Row]) -> str:
    """Return everything in one line."""
    return "; ".join(_short(row) for row in rows)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.service,
        f"{row.healthy}/{row.instances}" if row.instances else "elsewhere",
        "-" if row.rate is None else f"{row.rate:.1f}",
        "-" if row.success is None else _percent(row.success),
        _milliseconds(row.p50),
        _milliseconds(row.p99),
        str(row.restarts) if row.restarts else "",
    )


def _short(row: Row) -> str:
    name, healthy, rate, success, p50, p99, _ = _cells(row)
    if row.success is None:
        return f"{name} {healthy}"
    return f"{name} {healthy} {rate}/s {success} p50 {p50} p99 {p99}"


def _percent(share: float) -> str:
    # Rounding must not turn a failure into 100 %.
    return "100%" if share == 1.0 else f"{min(share * 100, 99.99):.2f}%"


def _milliseconds(time: float | None) -> str:
    return "-" if time is None else f"{time * 1000:.1f} ms"
