"""The packaged server: how many processes serve, how they share a port, what happens when one dies.

With one worker everything is in this process. With several, this process only supervises: workers are started by
spawn, never by fork, since gRPC does not survive a fork. They share the port (SO_REUSEPORT), so the kernel spreads
connections. A worker that dies is started again; one that dies before it was ever ready ends the gateway.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, Final

from gateway import worker
from gateway.blueprint import Blueprint
from gateway.load import Source
from gateway.worker import Job, Worker, load_unless
from mesh.config.address import Address
from mesh.config.spec import Gateway as Settings
from mesh.errors import ConfigError
from mesh.policy.problem import Problem

OK: Final = 0
FAILED: Final = 1
WRONG: Final = 2
"""Exit codes: done; a worker failed; what was configured cannot be served."""

_STEADY: Final = 5.0
"""Seconds after which a worker that dies is replaced at once; younger ones are waited with."""
_KILL_AFTER: Final = 5.0
"""Seconds beyond the stop timeout that a worker is given."""

Announce = Callable[[str], None]


def serve(source: Source, *, announce: Announce) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code. `announce` is given what a person should read."""
    try:
        settings = source.chosen_settings()
        listen = reserve(settings.listen)
    except ConfigError as error:
        return _refuse(error, announce)
    with listen.socket:
        if settings.workers == 1:
            return _serve_alone(Job(source=source, listen=listen.address), announce)
        return _Supervisor(source, settings, listen.address, announce).run()


class Reservation:
    """A port that is ours: bound, so that nobody else can have it, but not listened on."""

    def __init__(self, held: socket.socket, address: Address) -> None:
        self.socket = held
        self.address = address

    def __repr__(self) -> str:
        return f"<Reservation {self.address}>"


def reserve(listen: Address) -> Reservation:
    """Bind an address for workers to share; raise ConfigError when somebody else has it."""
    try:
        info = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM)[0]
        # Without SO_REUSEPORT first: with it, two gateways on one port would silently share its connections.
        with _bound(info, shared=False) as probe:
            port: int = probe.getsockname()[1]
        address = (info[4][0], port, *info[4][2:])
        return Reservation(_bound((*info[:4], address), shared=True), Address(str(info[4][0]), port))
    except OSError as error:
        text = f'cannot listen on "{listen}": {error.strerror or error}'
        raise ConfigError([Problem("", text)]) from error


def _bound(info: Any, *, shared: bool) -> socket.socket:
    held = socket.socket(info[0], socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
        held.bind(info[4])
    except OSError:
        held.close()
        raise
    return held


def _serve_alone(job: Job, announce: Announce) -> int:
    def ready(blueprint: Blueprint) -> None:
        announce(describe(blueprint))
        announce(welcome(job.listen, 1))

    try:
        worker.run(Worker(job), ready)
    except ConfigError as error:
        return _refuse(error, announce)
    return OK


def _refuse(error: ConfigError, announce: Announce) -> int:
    for problem in error.problems:
        announce(str(problem))
    return WRONG


def describe(blueprint: Blueprint) -> str:
    """Return the routes as text, for people."""
    rows = [
        (binding.http_method, str(binding.template), _note(binding, blueprint))
        for binding in blueprint.table.bindings
    ]
    width = max((len(path) for _, path, _ in rows), default=0)
    lines = [f"  {method:<7} {path:<{width}}  {note}" for method, path, note in rows]
    lines += [f"  not exposed: {skipped.method} ({skipped.reason})" for skipped in blueprint.table.skipped]
    return "\n".join(["routes:", *lines])


def _note(binding: Any, blueprint: Blueprint) -> str:
    name: str = binding.full_method[1:]
    if binding.full_method in blueprint.plans:
        return f"{name} (composed)"
    return f"{name} (stream)" if binding.method.server_streaming else name


def welcome(listen: Address, workers: int) -> str:
    """Return where the gateway is, when it is ready."""
    url = f"http://{listen}"
    count = f", {workers} workers" if workers > 1 else ""
    return f"gateway ready on {url} (API docs: {url}/docs, OpenAPI: {url}/openapi.json{count})"


class _Supervisor:
    """Starts workers, replaces those that die, stops them all."""

    def __init__(self, source: Source, settings: Settings, listen: Address, announce: Announce) -> None:
        self._source = source
        self._settings = settings
        self._listen = listen
        self._announce = announce
        # Not fork: "forking after grpc is initialised is unsafe".
        self._context = multiprocessing.get_context("spawn")
        self._processes: dict[int, Any] = {}
        self._links: dict[int, Connection] = {}
        self._ready: set[int] = set()
        """The workers that have been ready once."""
        self._told = asyncio.Event()
        self._forced = False

    def run(self) -> int:
        return asyncio.run(self._run())

    async def _run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        try:
            blueprint = await load_unless(self._told, self._source)
        except ConfigError as error:
            return _refuse(error, self._announce)
        if blueprint is None:
            return OK
        self._announce(describe(blueprint))
        lives = [asyncio.ensure_future(self._keep(index)) for index in range(self._settings.workers)]
        try:
            codes = await asyncio.gather(*lives)
        finally:
            for process in self._processes.values():
                process.kill()
        return next((code for code in codes if code), OK)

    async def _keep(self, index: int) -> int:
        """Keep one worker alive; return the exit code that ends the gateway."""
        while not self._told.is_set():
            born = time.monotonic()
            process = await self._start(index)
            code: int = await self._end_of(process)
            if self._told.is_set():
                return OK if code in {0, -signal.SIGTERM} or self._forced else FAILED
            if index not in self._ready:
                self._announce(f"worker {index} ended before it was ready (exit code {code})")
                self._stop()
                return WRONG if code == WRONG else FAILED
            self._announce(f"worker {index} died (exit code {code}); starting another")
            await asyncio.sleep(max(0.0, min(1.0, _STEADY - (time.monotonic() - born))))
        return OK

    async def _start(self, index: int) -> Any:
        """Start a worker; return when it is ready, or dead."""
        mine, its = self._context.Pipe()
        job = Job(source=self._source, listen=self._listen, index=index, workers=self._settings.workers)
        process = self._context.Process(target=_work, args=(job, its), name=f"gateway-{index}")
        # Started with Ctrl-C blocked: a worker that is still importing would die of it, with a traceback. The tracker of
        # multiprocessing, which the first start brings along, would lift the block.
        resource_tracker.ensure_running()
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        its.close()
        # The worker sees the end of this pipe when this process dies, however it dies, and stops.
        if old := self._links.get(index):
            old.close()
        self._processes[index], self._links[index] = process, mine
        await _readable(mine.fileno())
        try:
            ready = mine.recv() == "ready"
        except EOFError:
            ready = False
        if ready and index not in self._ready:
            self._ready.add(index)
            if len(self._ready) == self._settings.workers:
                self._announce(welcome(self._listen, len(self._ready)))
        return process

    async def _end_of(self, process: Any) -> int:
        await _readable(process.sentinel)
        process.join()
        code: int = process.exitcode
        return code

    def _stop(self) -> None:
        """Pass a stop on to every worker; the second time they hurry."""
        self._forced = self._told.is_set()
        self._told.set()
        for process in self._processes.values():
            if process.is_alive():
                process.terminate()
        if not self._forced:
            loop = asyncio.get_running_loop()
            loop.call_later(self._settings.stop_timeout + worker.LAME_DUCK + _KILL_AFTER, self._kill)

    def _kill(self) -> None:
        self._forced = True
        for process in self._processes.values():
            process.kill()


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _settle, future)
    try:
        await future
    finally:
        loop.remove_reader(descriptor)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _work(job: Job, link: Connection) -> None:
    """Be a worker process."""
    # Ctrl-C reaches the whole process group; the supervisor passes it on in its own way.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch(one: Worker) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, lambda: None)

        def orphaned() -> None:
            loop.remove_reader(link.fileno())
            one.stop()

        loop.add_reader(link.fileno(), orphaned)

    try:
        worker.run(Worker(job), lambda _: link.send("ready"), watch)
    except ConfigError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        sys.exit(WRONG)
