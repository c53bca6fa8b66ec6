"""How the services of a running environment do: one row for each, from the metrics of its processes."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Sequence
from typing import NamedTuple

from mesh.config import Environment
from mesh.up import http, scrape
from mesh.up.machine import State
from mesh.up.process import Process
from mesh.up.scrape import Sample

_WINDOW = 10.0


class Row(NamedTuple):
    """One service. Rates and times are None before there is anything to tell."""

    service: str
    healthy: int
    instances: int
    """0 for a service that runs elsewhere."""
    rate: float | None
    """Calls a second."""
    success: float | None
    """Share of calls that the service did not fail."""
    p50: float | None
    p99: float | None
    restarts: int


class Meter:
    """Remembers enough of the past to tell rates."""

    def __init__(self) -> None:
        self._past: dict[str, collections.deque[tuple[float, Sample]]] = {}

    async def measure(self, environment: Environment, processes: Sequence[Process], now: float) -> list[Row]:
        """Ask every healthy process, and compare with what it said about ten seconds ago."""
        running = [process for process in processes if process.state is State.HEALTHY]
        pages = await asyncio.gather(
            *(http.get(process.launch.metrics, "/metrics", timeout=1.0) for process in running)
        )
        recent: dict[str, list[tuple[float, Sample]]] = {}
        for process, page in zip(running, pages, strict=True):
            if page is not None and page.status == 200:
                step = self._step(process.launch.label, now, scrape.read(page.body))
                if step is not None:
                    recent.setdefault(process.launch.service, []).append(step)
        names = [service.name for service in environment.services]
        names += [name for name in dict.fromkeys(p.launch.service for p in processes) if name not in names]
        return [
            _row(name, [p for p in processes if p.launch.service == name], recent.get(name, ()))
            for name in names
        ]

    def _step(self, label: str, now: float, sample: Sample) -> tuple[float, Sample] | None:
        """Return how long ago the oldest sample in the window was taken, and what happened since."""
        past = self._past.setdefault(label, collections.deque())
        # The newest one outside the window stays: somebody may ask less often.
        while len(past) > 1 and past[1][0] <= now - _WINDOW:
            past.popleft()
        step = (now - past[0][0], scrape.between(past[0][1], sample)) if past and past[0][0] < now else None
        past.append((now, sample))
        return step


def _row(name: str, processes: Sequence[Process], steps: Sequence[tuple[float, Sample]]) -> Row:
    total = Sample()
    rate = 0.0
    for elapsed, sample in steps:
        total = scrape.add(total, sample)
        rate += sample.calls / elapsed
    return Row(
        service=name,
        healthy=sum(process.state is State.HEALTHY for process in processes),
        instances=len(processes),
        rate=rate if steps else None,
        success=1.0 - total.failures / total.calls if total.calls else None,
        p50=scrape.quantile(total, 0.5),
        p99=scrape.quantile(total, 0.99),
        restarts=sum(process.machine.restarts for process in processes),
    )
