"""`mesh up`: an environment, started in order, watched until Ctrl-C, and stopped in order."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import sys
from typing import TYPE_CHECKING

import click

from mesh.cli import interrupt
from mesh.cli.check import FILE

if TYPE_CHECKING:
    from mesh.config import Environment


@click.command("up", short_help="Start an environment: every service, then the gateway.")
@FILE
@click.option(
    "--no-table", is_flag=True, help="Print a line now and then, instead of a table that stays in place."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.0),
    default=120.0,
    show_default=True,
    help="Seconds until everything must be healthy; 0 waits for ever.",
)
def command(file: str, no_table: bool, timeout: float) -> None:
    """Start the environment of FILE (default: mesh.yaml) and keep it running until Ctrl-C.

    Services start in the order of their `after`, each when those before are healthy, the gateway last. What crashes
    is started again, after a wait that grows. Ctrl-C stops everything in reverse order and lets calls in flight
    finish; a second Ctrl-C kills at once.

    FILE is checked first, as `mesh check` does: with a problem, nothing is started and the exit code is 2. While
    everything runs, a change of its policies is checked too and reaches every process, without a restart.

    \b
    A command finds in its environment:
      MESH_LISTEN           HOST:PORT to listen on
      MESH_CONFIG           the environment with every address filled in
      MESH_SERVICE          its own name;  MESH_INSTANCE its number, from 0
      MESH_METRICS_LISTEN   HOST:PORT to serve /metrics on, for the table
    """  # noqa: D301 - click looks for the character
    interrupt.ends_quietly()
    from mesh.cli.inspection import inspect

    found = inspect(file)
    if found.environment is None:
        for diagnostic in found.diagnostics:
            click.echo(str(diagnostic), err=True)
        sys.exit(2)
    sys.exit(asyncio.run(_run(found.environment, no_table, timeout or None)))


async def _run(environment: Environment, no_table: bool, timeout: float | None) -> int:  # noqa: ASYNC109 - of the start
    from mesh.cli.follow import follow
    from mesh.cli.screen import Screen
    from mesh.up import StartError, Supervisor

    asked = asyncio.Event()
    terminal = sys.stdout.isatty()
    # The table needs rich, which comes with grpc-mesh[up]; everything else does not.
    in_place = terminal and not no_table and importlib.util.find_spec("rich") is not None
    screen = Screen(environment, terminal=terminal, in_place=in_place, closed=asked.set)
    supervisor = Supervisor(environment, log=screen.log, timeout=timeout)

    def on_signal() -> None:
        if asked.is_set():
            supervisor.kill()
        asked.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    starting = asyncio.create_task(supervisor.__aenter__())
    stopping = asyncio.create_task(asked.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            screen.say("stopping")
            starting.cancel()
        try:
            await starting
        except asyncio.CancelledError:
            return 130  # as a shell counts a Ctrl-C
        except (StartError, OSError) as error:
            click.echo(f"mesh up: {error}", err=True)
            return 1
        where = f"; REST API at http://{supervisor.gateway}" if supervisor.gateway else ""
        screen.say(f"everything is healthy{where}; stop with Ctrl-C")
        showing = asyncio.create_task(screen.show(supervisor))
        following = asyncio.create_task(follow(environment, supervisor, screen.say, os.environ))
        await asyncio.wait({showing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        showing.cancel()
        following.cancel()
        (fault,) = await asyncio.gather(showing, return_exceptions=True)
        screen.say("stopping; Ctrl-C again kills at once")
        await supervisor.stop()
        screen.say("stopped")
        if isinstance(fault, Exception) and not isinstance(fault, OSError):  # OSError: the terminal is gone
            raise fault
        return 0
    finally:
        stopping.cancel()
