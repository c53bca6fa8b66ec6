"""The run: every contender in its own process, taking turns in short windows, so that a busy machine slows them all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from bench import process
from bench.comparison import Comparison
from bench.process import Child

_WARM_UP: Final = 0.4
_SPARE: Final = 20.0


class MeasureError(Exception):
    """The contenders do not do the same work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How hard contenders are worked."""

    concurrency: int
    rate: float = 0.0
    """Calls a second; 0: as many as go."""
    seconds: float

    @property
    def title(self) -> str:
        return f"{self.rate:g}/s" if self.rate else f"{self.concurrency} in flight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One contender's turn. CPU is in seconds, latencies in microseconds."""

    comparison: str
    contender: str
    load: str
    round: int
    cpu: float
    latencies: list[int] = field(repr=False)
    seconds: float
    generator_cpu: float
    """CPU of the process that made the load; for clients that is the contender itself."""
    backend_cpu: float

    @property
    def calls(self) -> int:
        return len(self.latencies)


class Stand:
    """The processes of a run, while it lasts."""

    def __init__(self, backend: Child, generator: Child, contenders: dict[str, Child]) -> None:
        self._backend = backend
        self._generator = generator
        self._contenders = contenders

    async def warm_up(self, comparisons: Sequence[Comparison]) -> None:
        """Work everybody for a moment, then let all processes set up their garbage collectors."""
        load = Load(concurrency=32, seconds=_WARM_UP)
        for comparison in comparisons:
            for name, _ in comparison.contenders:
                await self._work(comparison, self._contenders[name], load)
        for child in (self._backend, self._generator, *self._contenders.values()):
            await child.do("settle")

    async def check(self, comparisons: Sequence[Comparison]) -> None:
        """Raise MeasureError unless the servers of each REST comparison answer the same JSON."""
        for comparison in comparisons:
            if comparison.asks in {"", "rpc"}:
                continue
            answers: dict[str, Any] = {}
            for name, _ in comparison.contenders:
                address = self._contenders[name].said
                answers[name] = await self._generator.do("ask", address=address, asks=comparison.asks)
            first, *others = answers
            for name in others:
                if answers[name] != answers[first]:
                    raise MeasureError(
                        f"{comparison.name}: {name} answers {answers[name]}, but {first} {answers[first]}"
                    )

    async def measure(self, comparison: Comparison, name: str, load: Load, number: int) -> Window:
        """Give one contender its turn."""
        contender = self._contenders[name]
        generator = self._generator if comparison.asks else contender
        everybody = (contender, generator, self._backend)
        clock = asyncio.get_running_loop().time
        before = [await child.do("mark") for child in everybody]
        began = clock()
        latencies = await self._work(comparison, contender, load)
        seconds = clock() - began
        cpu, generator_cpu, backend_cpu = [
            await child.do("mark") - earlier for child, earlier in zip(everybody, before, strict=True)
        ]
        return Window(
            comparison=comparison.name,
            contender=name,
            load=load.title,
            round=number,
            cpu=cpu,
            latencies=latencies,
            seconds=seconds,
            generator_cpu=generator_cpu,
            backend_cpu=backend_cpu,
        )

    async def _work(self, comparison: Comparison, contender: Child, load: Load) -> list[int]:
        arguments: dict[str, Any] = {
            "concurrency": load.concurrency,
            "rate": load.rate,
            "seconds": load.seconds,
            "patience": load.seconds + _SPARE,
        }
        latencies: list[int]
        if comparison.asks:
            latencies = await self._generator.do(
                "run", address=contender.said, asks=comparison.asks, **arguments
            )
        else:
            latencies = await contender.do("run", **arguments)
        if not latencies:
            raise MeasureError(f"{contender.name}: no call was answered within {load.seconds:g} s")
        return latencies


@contextlib.asynccontextmanager
async def stand(comparisons: Sequence[Comparison]) -> AsyncIterator[Stand]:
    """Start every process that is needed; end them all, whatever happens."""
    children: list[Child] = []
    try:
        backend = await process.start("backend", "bench.backend")
        children.append(backend)
        generator = await process.start("load", "bench.load")
        children.append(generator)
        contenders: dict[str, Child] = {}
        for name in dict.fromkeys(name for each in comparisons for name, _ in each.contenders):
            child = await process.start(name, "bench.contender", name, orjson.dumps(backend.said).decode())
            children.append(child)
            contenders[name] = child
        yield Stand(backend, generator, contenders)
    finally:
        await asyncio.gather(*(child.end() for child in children))


async def run(
    comparisons: Sequence[Comparison], loads: Sequence[Load], rounds: int, tell: Callable[[str], None]
) -> list[Window]:
    """Measure everything, round by round. `tell` hears how far it is."""
    tell("starting")
    async with stand(comparisons) as place:
        await place.check(comparisons)
        tell("warming up")
        await place.warm_up(comparisons)
        windows = []
        for number in range(1, rounds + 1):
            tell(f"round {number} of {rounds}")
            for load in loads:
                for comparison in comparisons:
                    for name, _ in comparison.contenders:
                        windows.append(await place.measure(comparison, name, load, number))
        return windows
