"""What a run's windows say: medians beside their baseline, budgets and where we stand; as text, and as JSON."""

from __future__ import annotations

import itertools
import os
import platform
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from bench.comparison import Budget, Comparison
from bench.measure import Load, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One contender under one load. CPU in microseconds a call, latencies in milliseconds."""

    comparison: str
    contender: str
    title: str
    load: str
    cpu: float
    extra: float
    """More CPU than the baseline: the median over the rounds, each with its own baseline."""
    ratio: float
    """Times the baseline's CPU, likewise."""
    spread: tuple[float, float]
    """The cheapest and the dearest round."""
    p50: float
    p99: float
    rate: float
    """Calls a second."""
    generator_cpu: float
    backend_cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A budget under one load, and what was measured."""

    title: str
    rule: str
    load: str
    measured: str
    met: bool
    verdict: str


def rows(windows: Sequence[Window], comparisons: Sequence[Comparison], loads: Sequence[Load]) -> list[Row]:
    """Return a row for each contender and load, in the order of the comparisons."""
    return [
        _row(comparison, name, title, load.title, windows)
        for comparison in comparisons
        for load in loads
        for name, title in comparison.contenders
    ]


def _row(comparison: Comparison, name: str, title: str, load: str, windows: Sequence[Window]) -> Row:
    def of(contender: str) -> list[Window]:
        wanted = (comparison.name, contender, load)
        return [window for window in windows if (window.comparison, window.contender, window.load) == wanted]

    own, baseline = of(name), of(comparison.contenders[0][0])
    costs = [window.cpu / window.calls * 1e6 for window in own]
    bases = [window.cpu / window.calls * 1e6 for window in baseline]
    latencies = [sorted(window.latencies) for window in own]
    calls = sum(window.calls for window in own)
    return Row(
        comparison=comparison.name,
        contender=name,
        title=title,
        load=load,
        cpu=statistics.median(costs),
        extra=statistics.median(cost - base for cost, base in zip(costs, bases, strict=True)),
        ratio=statistics.median(cost / base for cost, base in zip(costs, bases, strict=True)),
        spread=(min(costs), max(costs)),
        # Of each round, then the median: pooled, one stall of the machine would be everybody's p99.
        p50=statistics.median(_quantile(each, 0.5) for each in latencies),
        p99=statistics.median(_quantile(each, 0.99) for each in latencies),
        rate=calls / sum(window.seconds for window in own),
        generator_cpu=sum(window.generator_cpu for window in own) / calls * 1e6,
        backend_cpu=sum(window.backend_cpu for window in own) / calls * 1e6,
    )


def _quantile(ordered: Sequence[int], share: float) -> float:
    """Return a quantile in milliseconds, of microseconds in order."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1e3


def standings(table: Sequence[Row], budgets: Sequence[Budget]) -> list[Standing]:
    """Return where we stand with each budget, under each load: judged by the figures as they are shown."""
    return [
        _standing(budget, row)
        for budget in budgets
        for row in table
        if (row.comparison, row.contender) == (budget.comparison, budget.contender)
    ]


def _standing(budget: Budget, row: Row) -> Standing:
    if budget.ratio:
        measured, over, unit = f"{row.ratio:.2f} x", round(row.ratio, 2) - budget.ratio, "x"
        missed = f"missed by {over:.2f} {unit}"
    else:
        measured, over, unit = (
            f"{row.extra:+.1f} us, {row.ratio:.2f} x",
            round(row.extra, 1) - budget.extra,
            "us",
        )
        missed = f"missed by {over:.1f} {unit}"
    return Standing(
        title=budget.title,
        rule=budget.rule,
        load=row.load,
        measured=measured,
        met=over <= 0,
        verdict="met" if over <= 0 else missed,
    )


def render(table: Sequence[Row], comparisons: Sequence[Comparison], stand: Sequence[Standing]) -> str:
    """Return the report as text."""
    lines = [f"{about()['machine']}; CPU us a call, of the contender's process; latencies in ms", ""]
    for comparison in comparisons:
        lines += [*_table(comparison, [row for row in table if row.comparison == comparison.name]), ""]
    if stand:
        lines += ["budgets"]
        lines += [
            f"  {each.title:<20}{each.rule:<13}{each.load:<14}{each.measured:<19}{each.verdict}"
            for each in stand
        ]
    return "\n".join(lines)


def _table(comparison: Comparison, table: Sequence[Row]) -> Iterator[str]:
    yield comparison.title
    for load, group in itertools.groupby(table, key=lambda row: row.load):
        of_load = list(group)
        yield (
            f"  {load:<34}{'CPU':>8}{'extra':>8}{'times':>7}  {'lowest-highest':<16}"
            f"{'p50':>7}{'p99':>8}{'calls/s':>9}"
        )
        for row in of_load:
            is_baseline = row.contender == comparison.contenders[0][0]
            beside = f"{'':>8}{'':>7}" if is_baseline else f"{row.extra:>+8.1f}{row.ratio:>7.2f}"
            spread = f"{row.spread[0]:.1f}-{row.spread[1]:.1f}"
            yield (
                f"    {row.title:<32}{row.cpu:>8.1f}{beside}  {spread:<16}"
                f"{row.p50:>7.2f}{row.p99:>8.2f}{row.rate:>9.0f}"
            )
        yield f"    {_surroundings(comparison, of_load)}"
    if comparison.missing:
        yield f"  ({comparison.missing})"


def _surroundings(comparison: Comparison, table: Sequence[Row]) -> str:
    """Return what the other processes took, so that a reader sees which one was the bottleneck."""
    others = []
    if comparison.asks:
        others.append(f"the load {statistics.median(row.generator_cpu for row in table):.0f}")
    if comparison.asks != "rpc":
        others.append(f"the backends {statistics.median(row.backend_cpu for row in table):.0f}")
    return f"({' and '.join(others)} us of CPU a call)"


def about() -> dict[str, str]:
    """Return what figures depend on."""
    packages = ("grpcio", "protobuf", "uvloop", "granian", "orjson", "fastapi")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    cores = len(os.sched_getaffinity(0))
    return {
        "machine": f"{cores} cores, CPython {platform.python_version()}, grpcio {version('grpcio')}",
        "versions": versions,
    }


def as_json(table: Sequence[Row], stand: Sequence[Standing], settings: dict[str, Any]) -> dict[str, Any]:
    """Return the report as JSON values: `rows` and `budgets`, what they were measured with, and on what."""
    return {
        **about(),
        "settings": settings,
        "rows": [asdict(row) for row in table],
        "budgets": [asdict(each) for each in stand],
    }
