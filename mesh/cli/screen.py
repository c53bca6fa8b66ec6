"""What `mesh up` shows: the lines of all processes as they come, and how the services do."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from mesh.up import table
from mesh.up.supervisor import GATEWAY

if TYPE_CHECKING:
    from rich.live import Live

    from mesh.config import Environment
    from mesh.up import Supervisor

# ANSI colours that are readable on light and on dark backgrounds.
_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta", "bright_green")
_LINE_INTERVAL, _TABLE_INTERVAL = 10.0, 1.0


class Screen:
    """Standard output, shared by everything that runs. On a terminal it has colours, and may have a table in place."""

    def __init__(
        self, environment: Environment, *, terminal: bool, in_place: bool, closed: Callable[[], None]
    ) -> None:
        """`closed` is called when nobody reads any more."""
        names = [
            f"{service.name}.{index}" if service.instances > 1 else service.name
            for service in environment.services
            for index in range(service.instances)
        ]
        self._width = max(len(name) for name in ("mesh", GATEWAY, *names))
        colours = itertools.cycle(_COLOURS)
        services = dict.fromkeys(name.partition(".")[0] for name in names)
        self._colours = {name: next(colours) for name in services} if terminal else {}
        self._in_place = in_place
        self._closed = closed
        self._live: Live | None = None

    def log(self, label: str, line: str) -> None:
        """Print a line of a process."""
        prefix = f"{label:<{self._width}} | "
        colour = self._colours.get(label.partition(".")[0])
        try:
            if self._live is not None:
                from rich.text import Text

                # `from_ansi`: services may colour their own lines.
                self._live.console.print(
                    Text(prefix, style=colour or "bold"), Text.from_ansi(line), sep="", end="\n"
                )
            else:
                import click

                sys.stdout.write(f"{click.style(prefix, fg=colour) if colour else prefix}{line}\n")
                sys.stdout.flush()
        except OSError:  # `mesh up | head` is over
            # What the buffer still holds goes nowhere, or writing it at exit would fail again and make the status 120.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self._closed()

    def say(self, text: str) -> None:
        """Print a line of our own."""
        self.log("mesh", text)

    async def show(self, supervisor: Supervisor) -> None:
        """Show how the services do until cancelled."""
        if not self._in_place:
            while True:
                await asyncio.sleep(_LINE_INTERVAL)
                self.say(table.line(await supervisor.measure()))
        from rich.live import Live

        with Live(table.table(await supervisor.measure()), auto_refresh=False, transient=True) as live:
            self._live = live
            try:
                while True:
                    await asyncio.sleep(_TABLE_INTERVAL)
                    live.update(table.table(await supervisor.measure()), refresh=True)
            finally:
                self._live = None
