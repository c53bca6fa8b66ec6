"""The packaged server: which ports it takes, whether this process serves or supervises, and what it says about that.

With one worker everything is in this process; with several, this process only supervises (see `gateway.supervisor`).
SIGTERM and SIGINT drain, a second one hurries; SIGHUP reads the configuration again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from typing import Any

from gateway.admin.port import AdminPorts
from gateway.admin.report import report
from gateway.announcement import OK, RELOADED, Announce, Ports, describe, refuse, welcome
from gateway.blueprint import Blueprint
from gateway.load import Source
from gateway.reservation import Reservation, reserve
from gateway.supervisor import Supervisor
from gateway.terminal import Terminal
from gateway.worker import Job, Worker, run
from mesh.config import address
from mesh.config.address import Address
from mesh.config.spec import Gateway as Settings
from mesh.errors import ConfigError
from mesh.policy.problem import Problem
from mesh.telemetry.setup import METRICS_LISTEN


def serve(source: Source, *, announce: Announce) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code. `announce` is given what a person should read."""
    # Until there is a handler: being told to reload too early must not end it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with contextlib.ExitStack() as held:
        try:
            settings = source.chosen_settings()
            ports = _reserve(source, settings, held)
        except ConfigError as error:
            return refuse(error, announce)
        if settings.workers == 1:
            return run(_serve_alone(source, ports, announce))
        return run(Supervisor(source, settings, ports, announce).run())


def _reserve(source: Source, settings: Settings, held: contextlib.ExitStack) -> Ports:
    def take(listen: Address | None, path: str, count: int = 1) -> Reservation | None:
        if listen is None:
            return None
        taken = reserve(listen, count, path)
        held.callback(taken.close)
        return taken

    http = take(settings.listen, "", settings.workers)
    assert http is not None  # noqa: S101 - it has a default
    return Ports(
        http=http,
        rpc=take(settings.grpc_listen, "gateway.grpc_listen"),
        admin=take(settings.admin_listen, "gateway.admin_listen"),
        metrics=take(
            _metrics_listen(source) if settings.workers > 1 else None, "telemetry.prometheus_listen"
        ),
    )


def _metrics_listen(source: Source) -> Address | None:
    chosen = os.environ.get(METRICS_LISTEN)
    if not chosen:
        return source.environment().telemetry.prometheus_listen if source.config else None
    parsed = address.parse(chosen, least_port=0)
    if isinstance(parsed, str):
        raise ConfigError([Problem(METRICS_LISTEN, parsed)])
    return parsed


class _Alone:
    """Passes questions on to the one worker of this process."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def ask(self, question: str, argument: str = "") -> Mapping[int, Any]:
        # In a thread: a long answer must not hold up those who are served here.
        return {0: await asyncio.to_thread(report, self._worker, question, argument)}


async def _serve_alone(source: Source, ports: Ports, announce: Announce) -> int:
    worker = Worker(Job(source=source, held=ports.http.socket, rpc_listen=ports.rpc_listen))
    reloading: set[asyncio.Future[None]] = set()

    def ready(blueprint: Blueprint) -> None:
        announce(describe(blueprint))
        announce(welcome(ports, blueprint.settings))

    async def reload() -> None:
        if await worker.reload():
            announce(RELOADED)

    terminal = Terminal()

    def on_hangup() -> None:
        if terminal.is_gone:
            worker.stop()
            return
        task = asyncio.ensure_future(reload())
        reloading.add(task)
        task.add_done_callback(reloading.discard)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, worker.stop)
    loop.add_signal_handler(signal.SIGINT, lambda: worker.stop(patient=False))
    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    try:
        async with AdminPorts(_Alone(worker), ports.admin):
            await worker.run(ready)
    except ConfigError as error:
        return refuse(error, announce)
    return OK
