"""What the packaged gateway answers with one worker and with two, and how much memory it takes over many requests.

    python -m bench.scale              both: a minute and a half
    python -m bench.scale --workers 1 --workers 4 --requests 50000

Workers share nothing but their port, so that what limits them is the cores: here the load and the backends need some of
those, and their share is printed. Memory is what the serving process has resident, with its log read by nobody.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

from bench import process, stubs
from bench.contenders.configuration import write
from bench.process import Child

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_READY: Final = re.compile(rb"ready on http://(\S+)")
_CONCURRENCY: Final = 32
_SECONDS: Final = 1.0
_ROUNDS: Final = 4
_STEP: Final = 50_000
GROWTH: Final = 1.05
"""How much more memory than after the first requests is still flat."""


class Gateway:
    """One gateway and its workers, as processes."""

    def __init__(self, running: asyncio.subprocess.Process, address: str) -> None:
        self._running = running
        self.address = address

    def _processes(self) -> Iterator[tuple[int, list[str]]]:
        """Return the processes that serve, each with what /proc says from its state on."""
        pid = self._running.pid
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(entry.name) == pid or int(fields[1]) == pid:
                    yield int(entry.name), fields

    def cpu(self) -> float:
        """Return the seconds, user and system, of all of them."""
        return sum((int(fields[11]) + int(fields[12])) / _TICKS for _, fields in self._processes())

    def resident(self) -> float:
        """Return the memory of all of them, in MB."""
        return sum(int(fields[21]) for _, fields in self._processes()) * _PAGE / 1e6

    def __repr__(self) -> str:
        return f"<Gateway {self._running.pid} on {self.address}>"


@contextlib.asynccontextmanager
async def serving(workers: int, backends: dict[str, str]) -> AsyncIterator[Gateway]:
    """Run a gateway with defaults, as `mesh gateway` does."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "mesh.yaml")
        write(config, backends, f'{{listen: "127.0.0.1:0", workers: {workers}}}')
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "--config", str(config),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=stubs.environment(), cwd=stubs.ROOT,
        )  # fmt: skip
        try:
            assert running.stderr is not None  # noqa: S101 - it was asked for
            async with asyncio.timeout(30):
                while (found := _READY.search(line := await running.stderr.readline())) is None:
                    if not line:
                        raise process.ChildError("the gateway ended before it was ready")
            yield Gateway(running, found[1].decode())
        finally:
            with contextlib.suppress(ProcessLookupError):
                running.send_signal(signal.SIGINT)
            await running.wait()


async def _answered(generator: Child, gateway: Gateway, seconds: float) -> int:
    latencies = await generator.do(
        "run", address=gateway.address, asks="order", concurrency=_CONCURRENCY, rate=0, seconds=seconds
    )
    return len(latencies)


async def throughput(counts: list[int], backend: Child, generator: Child) -> None:
    """Print requests a second against workers; the gateways take turns."""
    async with contextlib.AsyncExitStack() as stack:
        gateways = {count: await stack.enter_async_context(serving(count, backend.said)) for count in counts}
        for gateway in gateways.values():
            await _answered(generator, gateway, _SECONDS)
        rates: dict[int, list[float]] = {count: [] for count in counts}
        costs: dict[int, list[tuple[float, float, float]]] = {count: [] for count in counts}
        for _ in range(_ROUNDS):
            for count, gateway in gateways.items():
                before = gateway.cpu(), await generator.do("mark"), await backend.do("mark")
                number = await _answered(generator, gateway, _SECONDS)
                after = gateway.cpu(), await generator.do("mark"), await backend.do("mark")
                own, load, behind = (
                    (end - begin) / number * 1e6 for begin, end in zip(before, after, strict=True)
                )
                rates[count].append(number / _SECONDS)
                costs[count].append((own, load, behind))
    print(f"  {len(os.sched_getaffinity(0))} cores, {_CONCURRENCY} requests in flight; CPU us a request")
    print(f"  {'workers':>7}{'requests/s':>12}{'times':>7}{'gateway':>9}{'load':>6}{'backends':>10}")
    base = statistics.median(rates[counts[0]])
    for count in counts:
        rate = statistics.median(rates[count])
        own, load, behind = (statistics.median(each) for each in zip(*costs[count], strict=True))
        print(f"  {count:>7}{rate:>12.0f}{rate / base:>7.2f}{own:>9.0f}{load:>6.0f}{behind:>10.0f}")


async def memory(requests: int, backend: Child, generator: Child) -> bool:
    """Print resident memory while requests are answered; return whether it stays flat."""
    async with serving(1, backend.said) as gateway:
        print(f"\n  {'requests':>9}{'MB resident':>13}")
        answered = await _answered(generator, gateway, 0.2)
        sizes = [gateway.resident()]
        print(f"  {answered:>9}{sizes[0]:>13.1f}")
        while answered < requests:
            until = min(requests, (answered // _STEP + 1) * _STEP)
            while answered < until:
                answered += await _answered(generator, gateway, 1.0)
            sizes.append(gateway.resident())
            print(f"  {answered:>9}{sizes[-1]:>13.1f}", flush=True)
    # What is allocated for the first time under load stays: growth is what comes after.
    flat = sizes[-1] <= sizes[min(1, len(sizes) - 1)] * GROWTH
    print(
        f"  {'flat' if flat else 'it grows'}: at most {GROWTH - 1:.0%} more than after the first {_STEP} requests is flat"
    )
    return flat


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, action="append", help="how many workers; repeatable (1, 2)")
    parser.add_argument(
        "--requests", type=int, default=200_000, help="how many for the memory (200000; 0: none)"
    )
    return parser.parse_args(arguments)


async def main(arguments: list[str]) -> int:
    asked: Any = _parse(arguments)
    stubs.make()
    backend = await process.start("backend", "bench.backend")
    generator = await process.start("load", "bench.load")
    try:
        await throughput(asked.workers or [1, 2], backend, generator)
        return 0 if not asked.requests or await memory(asked.requests, backend, generator) else 1
    finally:
        await asyncio.gather(backend.end(), generator.end())


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
