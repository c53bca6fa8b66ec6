"""What happens to several workers: started, replaced when they die, reloaded one after another, stopped together.

Workers are started by spawn, never by fork, since gRPC does not survive a fork. Each has a listening socket of its own
on the one port (SO_REUSEPORT), so the kernel spreads connections. The sockets belong to this process: the connections
that wait in a dead worker's are its replacement's. A worker that dies before it was ever ready ends the gateway.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import signal
import sys
import time
from collections.abc import Mapping
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

from gateway.admin.port import AdminPorts
from gateway.admin.report import report
from gateway.announcement import FAILED, OK, RELOADED, WRONG, Announce, Ports, describe, refuse, welcome
from gateway.http_server import stop_listening
from gateway.link import Link
from gateway.serving import LAME_DUCK
from gateway.terminal import Terminal
from gateway.worker import Job, Worker, load_unless, run
from mesh.errors import ConfigError

if TYPE_CHECKING:
    from gateway.load import Source
    from mesh.config.spec import Gateway as Settings

_log = logging.getLogger("mesh")

_STEADY: Final = 5.0
"""Seconds after which a worker that dies is replaced at once; younger ones are waited with."""
_KILL_AFTER: Final = 5.0
"""Seconds beyond the stop timeout that a worker is given."""
_ANSWER: Final = 2.0
"""Seconds a worker may take to answer the admin port."""
_RELOAD: Final = 60.0
"""Seconds a worker may take to load its configuration again."""


class Supervisor:
    """Starts workers, replaces those that die, stops them all."""

    def __init__(self, source: Source, settings: Settings, ports: Ports, announce: Announce) -> None:
        self._source = source
        self._settings = settings
        self._ports = ports
        self._announce = announce
        # Not fork: "forking after grpc is initialised is unsafe".
        self._context = multiprocessing.get_context("spawn")
        self._processes: dict[int, Any] = {}
        self._links: dict[int, Link] = {}
        self._ready: set[int] = set()
        """The workers that have been ready once."""
        self._told = asyncio.Event()
        self._forced = False
        self._terminal = Terminal()
        self._reloading: asyncio.Future[None] | None = None

    async def run(self) -> int:
        """Keep the workers until told to stop; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        try:
            blueprint = await load_unless(self._told, self._source)
        except ConfigError as error:
            return refuse(error, self._announce)
        if blueprint is None:
            return OK
        self._announce(describe(blueprint))
        async with AdminPorts(self, self._ports.admin, self._ports.metrics):
            lives = [asyncio.ensure_future(self._keep(index)) for index in range(self._settings.workers)]
            try:
                codes = await asyncio.gather(*lives)
            finally:
                for process in self._processes.values():
                    process.kill()
        return next((code for code in codes if code), OK)

    # Questions of the admin port

    async def ask(self, question: str, argument: str = "") -> Mapping[int, Any]:
        """Return the answers of the workers that have one in time."""

        async def answer_of(link: Link) -> Any:
            try:
                return await link.ask(question, argument, seconds=_ANSWER)
            except (TimeoutError, OSError):
                return None

        links = dict(self._links)
        answers = await asyncio.gather(*map(answer_of, links.values()))
        return {index: answer for index, answer in zip(links, answers, strict=True) if answer is not None}

    # Reloading

    def _on_hangup(self) -> None:
        if self._terminal.is_gone:
            self._stop()
        elif self._reloading is None or self._reloading.done():
            self._reloading = asyncio.ensure_future(self._reload())

    async def _reload(self) -> None:
        """Have the workers follow the configuration, each when the one before it does: at most one loads at a time."""
        for index, link in sorted(self._links.items()):
            try:
                done = await link.ask("reload", "", seconds=_RELOAD)
            except (TimeoutError, OSError) as error:
                # One that has died is replaced by one that reads the configuration as it is.
                self._announce(f"worker {index} does not answer: {error or 'it takes too long to reload'}")
                continue
            if not done:
                # It has said why; the others would find the same.
                self._announce(f"worker {index} cannot follow the configuration: what it had goes on serving")
                return
        self._announce(RELOADED)

    # Keeping

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
            pause = max(0.0, min(1.0, _STEADY - (time.monotonic() - born)))
            if pause:
                # It may die again, and the others live: new connections are theirs.
                stop_listening(self._ports.http.sockets[index])
            await asyncio.sleep(pause)
        return OK

    async def _start(self, index: int) -> Any:
        """Start a worker; return when it is ready, or dead."""
        mine, its = self._context.Pipe()
        job = Job(
            source=self._source,
            held=self._ports.http.sockets[index],
            rpc_listen=self._ports.rpc_listen,
            index=index,
            workers=self._settings.workers,
        )
        process = self._context.Process(target=_work, args=(job, its), name=f"gateway-{index}")
        # Started with Ctrl-C blocked: a worker that is still importing would die of it, with a traceback. The tracker of
        # multiprocessing, which the first start brings along, would lift the block. SIGHUP would end it as well.
        resource_tracker.ensure_running()
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        its.close()
        # The worker sees the end of this pipe when this process dies, however it dies, and stops.
        link = Link(mine)
        if old := self._links.get(index):
            old.close()
        self._processes[index], self._links[index] = process, link
        await link.ready_or_ended()
        if link.ready.is_set() and index not in self._ready:
            self._ready.add(index)
            if len(self._ready) == self._settings.workers:
                self._announce(welcome(self._ports, self._settings))
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
            loop.call_later(self._settings.stop_timeout + LAME_DUCK + _KILL_AFTER, self._kill)

    def _kill(self) -> None:
        self._forced = True
        for process in self._processes.values():
            process.kill()

    def __repr__(self) -> str:
        return f"<Supervisor {len(self._ready)} of {self._settings.workers} workers>"


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


def _work(job: Job, connection: Connection) -> None:
    """Be a worker process."""
    # Ctrl-C reaches the whole process group, as a terminal's end does; the supervisor passes both on in its own way.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run(_serve(Worker(job), connection))
    except ConfigError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        sys.exit(WRONG)


async def _serve(worker: Worker, connection: Connection) -> int:
    link = Link(connection)

    async def respond(question: str, argument: Any) -> Any:
        if question == "reload":
            return await worker.reload()
        return await asyncio.to_thread(report, worker, question, argument)

    async def orphaned() -> None:
        await link.ended.wait()
        worker.stop()

    link.respond(respond)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    waiting = asyncio.ensure_future(orphaned())
    ready: list[asyncio.Future[None]] = []
    try:
        await worker.run(lambda _: ready.append(asyncio.ensure_future(link.say_ready())))
    finally:
        waiting.cancel()
        link.close()
    return 0
