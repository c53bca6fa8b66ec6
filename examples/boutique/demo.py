"""`make demo`: generates the stubs, starts the shop, visits it, and leaves it running until Ctrl-C.

ONCE=1        stop after the visit; the exit code says whether every answer was right
LISTEN=...    where the API listens, HOST:PORT, instead of what mesh.yaml says
VISITORS=N    how many visitors browse while it runs, so that the table shows something; 3 by default
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

from client import Client
from show import Printer
from tour import Tour, browse

from mesh.cli.screen import Screen
from mesh.config import Address, Environment, load
from mesh.generate import GenerateError, Request, generate
from mesh.up import StartError, Supervisor

HERE = Path(__file__).resolve().parent
QUIET = '"status":2'
"""In a line of the gateway's access log: nothing to look at."""


class Log:
    """Where the lines of all processes go: a file, the last of them, and the screen once there is one."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = file
        self.screen: Screen | None = None
        self.last: deque[str] = deque(maxlen=20)
        self._out = file.open("w", encoding="utf-8", buffering=1)

    def __call__(self, label: str, line: str) -> None:
        self._out.write(f"{label} | {line}\n")
        self.last.append(f"{label} | {line}")
        if self.screen is not None and not (label == "gateway" and QUIET in line):
            self.screen.log(label, line)


class Settings(NamedTuple):
    """What whoever starts the demo may choose."""

    once: bool
    listen: Address | None
    visitors: int

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Read them from environment variables; raise ValueError for what makes no sense."""
        once = environ.get("ONCE", "") not in {"", "0"}
        # A visit that ends by itself is nobody's to look at: any free port will do.
        listen = environ.get("LISTEN") or ("127.0.0.1:0" if once else "")
        host, _, port = listen.rpartition(":")
        if listen and not (host and port.isdecimal()):
            raise ValueError(f'LISTEN: "{listen}" is not HOST:PORT')
        visitors = environ.get("VISITORS", "3")
        if not visitors.isdecimal():
            raise ValueError(f'VISITORS: "{visitors}" is not a number')
        return cls(once, Address(host, int(port)) if listen else None, int(visitors))


async def main() -> int:
    """Run the demo; return its exit code."""
    printer = Printer()
    try:
        settings = Settings.read(os.environ)
        environment = prepare(printer, settings.listen)
    except ValueError as error:
        printer.fail(str(error))
        return 2
    log = Log(HERE / ".mesh" / "demo.log")
    supervisor = Supervisor(environment, log=log)
    _stop_on_signals(supervisor)
    try:
        await start(supervisor, printer)
    except StartError as error:
        printer.fail(str(error))
        if log.last:
            printer.fail(f"\nthe last lines of the services ({log.file} has all):", *log.last)
        else:
            printer.fail("LISTEN=127.0.0.1:0 takes a free port")
        return 1
    try:
        client = Client(f"http://{supervisor.gateway}")
        right = await Tour(client, printer).run()
        printer.verdict("every answer was right" if right else "not every answer was right", good=right)
        if not settings.once:
            await stay(supervisor, client, printer, log, settings.visitors)
    except asyncio.CancelledError:
        # A Ctrl-C while the shop is open is how the demo ends well: the cancellation has done what it was for.
        if log.screen is None:
            raise
    finally:
        printer.note("stopping; Ctrl-C again kills at once")
        await supervisor.stop()
        printer.note("stopped")
    return 0 if right else 1


def prepare(printer: Printer, listen: Address | None) -> Environment:
    """Generate the stubs and read the environment; raise ValueError with every problem."""
    printer.heading("From protos to stubs, routes and compositions")
    printer.command("mesh generate protos --descriptors boutique.binpb")
    descriptors = HERE / "boutique.binpb"
    try:
        report = generate(Request(folders=(HERE / "protos",), out=HERE, descriptors=descriptors))
    except GenerateError as error:
        raise ValueError("\n".join(error.problems)) from error
    state = f"wrote {len(report.written)} files" if report.changed else "up to date"
    printer.note(f"{state}: {report.files} files from {report.protos} protos")
    environment, diagnostics = load(HERE / "mesh.yaml")
    if environment is None or environment.gateway is None:
        raise ValueError("\n".join(map(str, diagnostics)) or "mesh.yaml has no gateway")
    if listen is None:
        return environment
    gateway = dataclasses.replace(environment.gateway, listen=listen)
    return dataclasses.replace(environment, gateway=gateway)


async def start(supervisor: Supervisor, printer: Printer) -> None:
    """Start everything, and say who is healthy as they come."""
    printer.heading("Starting the shop, in the order of `after`")
    printer.command("mesh up mesh.yaml")
    started = time.monotonic()
    starting = asyncio.create_task(supervisor.__aenter__())
    healthy: dict[str, None] = {}
    try:
        while not starting.done():
            await asyncio.wait({starting}, timeout=0.05)
            for process in supervisor.processes:
                if process.state.value == "healthy" and process.launch.label not in healthy:
                    healthy[process.launch.label] = None
                    printer.progress(process.launch.label, len(healthy), len(supervisor.processes))
    except asyncio.CancelledError:
        starting.cancel()  # which stops what was started
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        raise
    await starting
    printer.note(f"everything is healthy after {time.monotonic() - started:.1f} s")


async def stay(supervisor: Supervisor, client: Client, printer: Printer, log: Log, visitors: int) -> None:
    """Keep the shop open, with a table of how its services do, until cancelled."""
    printer.heading("The shop stays open")
    printer.links(
        {
            "API": f"{client.base}/v1/pages/home",
            "API docs": f"{client.base}/docs",
            "OpenAPI": f"{client.base}/openapi.json",
            **{
                f"metrics of {process.launch.label}": f"http://{process.launch.metrics}/metrics"
                for process in (*supervisor.instances("gateway"), *supervisor.instances("orders"))
            },
            "logs": str(log.file),
        }
    )
    printer.note(f"{visitors} visitors look around (VISITORS=0 for none); stop with Ctrl-C\n")
    terminal = sys.stdout.isatty()
    # When nobody reads any more, it is as if somebody had asked it to stop.
    closed = functools.partial(signal.raise_signal, signal.SIGTERM)
    screen = Screen(supervisor.environment, terminal=terminal, in_place=terminal, closed=closed)
    log.screen = screen
    async with asyncio.TaskGroup() as group:
        for number in range(visitors):
            group.create_task(browse(client, number))
        group.create_task(screen.show(supervisor))


def _stop_on_signals(supervisor: Supervisor) -> None:
    """Have Ctrl-C cancel the task that is running, which stops everything, and a second one kill what is left."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - this is called by one

    def on_signal() -> None:
        if task.cancelling():
            supervisor.kill()
        else:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)  # as a shell counts a Ctrl-C
