"""What other defaults would do in the example scenarios: the tables of docs/adr/0010-defaults-by-simulation.md.

python examples/simulate/defaults.py            all of them, about a minute
python examples/simulate/defaults.py hedging    one of them
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

from google.protobuf import json_format

from mesh import simulate
from mesh.simulate.baseline import NAIVE, NONE
from mesh.v1 import policy_pb2

FOLDER = Path(__file__).parent


def policy(**sections: object) -> policy_pb2.Policy:
    """Return a policy from what a YAML file would say."""
    return json_format.ParseDict(sections, policy_pb2.Policy())


def run(name: str, override: policy_pb2.Policy | None = None, **changes: object) -> simulate.Result:
    scenario = simulate.require(FOLDER / f"{name}.yaml", override=override)
    return simulate.run(dataclasses.replace(scenario, **changes))


def events(name: str, **changes: float) -> tuple[object, ...]:
    """Return the scenario's events, changed."""
    scenario = simulate.require(FOLDER / f"{name}.yaml")
    return tuple(dataclasses.replace(event, **changes) for event in scenario.events)


def row(*cells: object) -> None:
    print("| " + " | ".join(f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in cells) + " |")


def head(*cells: str) -> None:
    row(*cells)
    row(*("---" for _ in cells))


def recovered(result: simulate.Result, end: float) -> str:
    """Return after how many seconds nearly all calls succeed again, for good."""
    bad = [piece.end for piece in result.slices if piece.end > end and not piece.success_ratio >= 0.98]
    seconds = max(bad, default=end) - end
    return "never" if seconds >= result.slices[-1].end - end else f"{seconds:g}"


BUDGET = {
    "0.2 + 3/s": {"ratio": 0.2, "min_per_second": 3},
    "0.2 + 1/s": {"ratio": 0.2, "min_per_second": 1},
    "0.1 + 3/s": {"ratio": 0.1, "min_per_second": 3},
    "0.1 + 0/s": {"ratio": 0.1, "min_per_second": 0},
}
NO_BREAKER = {"enabled": False}


def outage() -> None:
    """A full outage of 60 s: attempts per call, by what bounds retries."""
    head("policy", "attempts per call")
    row("naive", run("outage", NAIVE).between(20, 80).attempts_per_call)
    for name, budget in BUDGET.items():
        found = run("outage", policy(retry={"budget": budget}, circuit_breaker=NO_BREAKER))
        row(f"budget {name}, no breaker", found.between(20, 80).attempts_per_call)
    row("defaults", run("outage").between(20, 80).attempts_per_call)
    for count, rate in ((1, 300.0), (300, 300.0), (1000, 300.0)):
        scenario = simulate.require(FOLDER / "outage.yaml")
        found = simulate.run(
            dataclasses.replace(
                scenario,
                clients=dataclasses.replace(scenario.clients, count=count),
                arrivals=dataclasses.replace(scenario.arrivals, rate=rate),
            )
        )
        row(
            f"defaults, {count} clients with {rate / count:.3g} calls/s each",
            found.between(20, 80).attempts_per_call,
        )


def recovery() -> None:
    """How long circuits stay open after an outage, and what probing sooner costs during it."""
    head("max_open_for", "outage of", "recovered after, s", "attempts per call during it")
    for longest in ("30s", "10s", "5s", "2s"):
        for length in (10.0, 35.0, 60.0):
            found = run(
                "outage",
                policy(circuit_breaker={"max_open_for": longest}),
                duration=20 + length + 40,
                events=events("outage", end=20 + length),
            )
            row(
                longest,
                f"{length:g} s",
                recovered(found, 20 + length),
                found.between(20, 20 + length).attempts_per_call,
            )


def errors() -> None:
    """A fifth of all answers is an error: what the budget lets through, and what it costs."""
    head("policy", "succeeded", "attempts per call")
    row("none", *_errors(NONE))
    row("naive", *_errors(NAIVE))
    for name, budget in BUDGET.items():
        row(f"budget {name}", *_errors(policy(retry={"budget": budget})))


def _errors(override: policy_pb2.Policy) -> tuple[float, float]:
    found = run("errors", override).between(10, 50)
    return found.success_ratio, found.attempts_per_call


def metastable() -> None:
    """A dip in capacity of 10 s, with a queue of work nobody waits for."""
    head("policy", "recovered after, s", "attempts per call at the end")
    for name, override in {
        "naive": NAIVE,
        "none": NONE,
        "budget 0.2 + 3/s, no breaker": policy(circuit_breaker=NO_BREAKER),
        "budget 0.1 + 3/s, no breaker": policy(
            retry={"budget": BUDGET["0.1 + 3/s"]}, circuit_breaker=NO_BREAKER
        ),
        "defaults": None,
    }.items():
        found = run("metastable", override)
        row(name, recovered(found, 20), found.between(50, 60).attempts_per_call)


def hedging() -> None:
    """One slow backend of ten."""
    healthy = run("slow_backend", NONE, events=()).total.p99
    head(
        "policy",
        "p99 healthy, ms",
        "p99 with the slow one, ms",
        "of healthy without hedging",
        "attempts per call",
    )
    for name, override in {
        "none": NONE,
        **{f"p{number}": policy(hedge={"percentile": number}) for number in (95, 90, 85, 80)},
        "p95, budget 0.1 + 3/s": policy(hedge={"percentile": 95}, retry={"budget": BUDGET["0.1 + 3/s"]}),
    }.items():
        calm, slow = run("slow_backend", override, events=()).total, run("slow_backend", override).total
        row(name, calm.p99 * 1000, slow.p99 * 1000, slow.p99 / healthy, slow.attempts_per_call)


TABLES: dict[str, Callable[[], None]] = {
    function.__name__: function for function in (outage, recovery, errors, metastable, hedging)
}


def main(*names: str) -> None:
    for name in names or TABLES:
        print(f"\n{TABLES[name].__doc__}\n")
        TABLES[name]()


if __name__ == "__main__":
    main(*sys.argv[1:])
