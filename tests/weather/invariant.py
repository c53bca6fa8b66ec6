"""What must hold when all calls have ended, however they ended: everything taken was given back, everything begun settled."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections import Counter
from collections.abc import Callable
from typing import Any

import mesh
from mesh.binding.runtime import Runtime
from mesh.call import Call, Outcome
from mesh.mechanism.breaker import CircuitBreaker
from mesh.mechanism.concurrency import ConcurrencyLimit
from mesh.placement import Placed
from mesh.stage.load_report import Report
from mesh.stage.mirror import Copies
from mesh.telemetry.instruments import Kind


class Ledger:
    """Counts, with stages of an application's own, what is admitted and settled on one side."""

    def __init__(self) -> None:
        self.admitted: Counter[str] = Counter()
        self.settled: Counter[str] = Counter()
        self.twice = 0
        """Settlements of what was not admitted, or was settled before."""
        self._open: dict[str, set[object]] = {"call": set(), "attempt": set()}

    @property
    def open(self) -> dict[str, int]:
        """What was admitted and not settled, where there is any."""
        return {per: len(tickets) for per, tickets in self._open.items() if tickets}

    def stages(self, *, client: bool) -> list[Placed]:
        """Return the stages, the first and the last that a call or attempt passes, for a channel or a server."""
        made = [
            mesh.place(_Count(self, "call", "first_of_call"), before="metrics"),
            mesh.place(
                _Count(self, "call", "last_of_call"), after="mirror" if client else "server_concurrency"
            ),
        ]
        if client:
            made += [
                mesh.place(
                    _Count(self, "attempt", "first_of_attempt"), before="circuit_breaker", per="attempt"
                ),
                mesh.place(
                    _Count(self, "attempt", "last_of_attempt"), after="attempt_metrics", per="attempt"
                ),
            ]
        return made

    def begin(self, per: str) -> object:
        ticket = object()
        self.admitted[per] += 1
        self._open[per].add(ticket)
        return ticket

    def end(self, per: str, ticket: object) -> None:
        self.settled[per] += 1
        if ticket in self._open[per]:
            self._open[per].remove(ticket)
        else:
            self.twice += 1

    def __repr__(self) -> str:
        return f"<Ledger {dict(self.admitted)} open={self.open} twice={self.twice}>"


class _Count(mesh.Stage):
    def __init__(self, ledger: Ledger, per: str, name: str) -> None:
        self._ledger = ledger
        self._per = per
        self.name = name

    def admit(self, call: Call, now: float) -> Outcome | object:
        return self._ledger.begin(self._per)

    def settle(self, call: Call, ticket: Any, outcome: Outcome, now: float) -> None:
        self._ledger.end(self._per, ticket)


def taken(*runtimes: Runtime) -> dict[str, float]:
    """Return everything that is counted up and down in both APIs' mechanisms and metrics, where it is not zero."""
    found: dict[str, float] = {}
    for number, using in enumerate(runtimes):
        states = (using.state, using._threads[1])
        for key, kept in [item for state in states for item in list(state._kept.items())]:
            name = f"{number} {key}"
            if isinstance(kept, ConcurrencyLimit | Copies):
                found[name] = kept.in_flight
            elif isinstance(kept, Report):
                found[name] = kept.load.in_flight
            elif isinstance(kept, CircuitBreaker):
                found[name] = kept._probing
        for series in using.telemetry.snapshot():
            if series.instrument.kind is Kind.UP_DOWN_COUNTER:
                found[f"{number} {series.instrument.name} {series.attributes}"] = series.value
    return {name: value for name, value in found.items() if value}


def unsettled(*ledgers: Ledger) -> dict[str, Any]:
    """Return what is wrong in the ledgers."""
    found: dict[str, Any] = {}
    for number, ledger in enumerate(ledgers):
        if ledger.open:
            found[f"ledger {number} open"] = ledger.open
        if ledger.twice:
            found[f"ledger {number} twice"] = ledger.twice
    return found


async def calm(wrong: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait until nothing is wrong any more; fail with what still is."""
    looks = 0
    end = asyncio.get_running_loop().time() + seconds
    while wrong():
        if asyncio.get_running_loop().time() > end:
            raise AssertionError(f"after {seconds:g} s: {wrong()}")
        looks += 1
        if looks % 20 == 0:
            gc.collect()  # grpc.aio's intercepted calls are in reference cycles
        await asyncio.sleep(0.002)


async def growth(batch: Callable[[], Any], *, warm: int = 2, rounds: int = 3) -> int:
    """Return by how many bytes a batch of calls made memory grow at least, once everything is warm."""
    for _ in range(warm):
        await batch()
    tracemalloc.start()
    try:
        await batch()
        grown = []
        for _ in range(rounds):
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            await batch()
            gc.collect()
            grown.append(tracemalloc.get_traced_memory()[0] - before)
        return min(grown)
    finally:
        tracemalloc.stop()
