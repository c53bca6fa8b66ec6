"""One serving process: it loads, listens, says so, follows new settings, and drains when told to stop.

load ─► open channels ─► listen ─► ready ─► ... ─► told to stop
                                                   not ready, for a moment ─► no new connections
                                                   ─► requests in flight finish, or are told ─► closed

Told to reload it loads beside what serves. What cannot be served is reported, and changes nothing; what can gets the
ports (see `gateway.serving`), and what served before finishes in the background.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.blueprint import Blueprint
from gateway.edge.metrics import ACTIVE_REQUESTS
from gateway.load import Source, load
from gateway.serving import Serving
from gateway.updates import Updates
from mesh.binding import reload
from mesh.binding.runtime import settings_of
from mesh.config.address import Address
from mesh.config.watch import INTERVAL, is_wanted
from mesh.errors import ConfigError
from mesh.telemetry.setup import METRICS_LISTEN, TelemetrySettings, setup
from mesh.telemetry.telemetry import Telemetry

_log = logging.getLogger("mesh")

_OF_PROCESS: Final = ("listen", "grpc_listen", "admin_listen", "workers")
"""Settings that hold for as long as the process lives."""
_BEGAN: Final = "the gateway is reloaded: what served before finishes"
_KEPT: Final = "the gateway is not reloaded: what it had goes on serving"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one worker is to do; it is sent to another process."""

    source: Source
    held: socket.socket
    """Where to serve: a socket that is bound, and stays its owner's."""
    rpc_listen: Address | None = None
    """Where to serve gRPC; the port is a real one."""
    index: int = 0
    workers: int = 1


class Worker:
    """Serves one job until it is told to stop."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._told = asyncio.Event()
        self._hurried = asyncio.Event()
        self._patient = True
        self._telemetry: Telemetry | None = None
        self._serving: Serving | None = None
        self._watcher: reload.Watcher | None = None
        self._updates: Updates | None = None
        self._reloading = asyncio.Lock()
        self._outgoing: dict[asyncio.Future[None], Serving] = {}
        """What served before, while it finishes."""
        self.began = time.time()
        """When this process began, in seconds since 1970."""

    # What it is asked

    @property
    def serving(self) -> Serving | None:
        """What new connections reach; None before it is ready."""
        return self._serving

    @property
    def telemetry(self) -> Telemetry | None:
        return self._telemetry

    @property
    def is_ready(self) -> bool:
        """Whether new requests are welcome."""
        gateway = None if self._serving is None else self._serving.gateway
        return gateway is not None and not gateway.draining and gateway.live.backends.is_open

    @property
    def in_flight(self) -> int:
        """How many requests are being answered, with what settings ever."""
        servings = [*self._outgoing.values(), *([self._serving] if self._serving is not None else [])]
        return sum(serving.gateway.in_flight for serving in servings)

    # What it is told

    def stop(self, *, patient: bool = True) -> None:
        """Begin to drain; a second time: cut off what is in flight. An impatient stop skips the lame duck's moment."""
        if self._told.is_set():
            self._hurried.set()
        self._patient = self._patient and patient
        self._told.set()

    async def reload(self, source: Source | None = None) -> bool:
        """Serve what the source describes now, or another one; return whether it could. Problems are logged."""
        async with self._reloading:
            if source is not None:
                self._job = replace(self._job, source=source)
            try:
                updates = Updates(self._job.source)
                blueprint = await load_unless(self._told, self._job.source, self._telemetry)
                if blueprint is None or self._serving is None:
                    return False
                successor = self._make(blueprint)
                await self._start(successor)
            except ConfigError as error:
                for problem in error.problems:
                    _log.error("%s", problem)
                _log.error(_KEPT)
                return False
            if self._watcher is not None:
                await asyncio.to_thread(self._watcher.stop)
            self._watcher = reload.watch(blueprint.runtime, os.environ)
            await self._follow(updates, successor)
            self._note_rest(self._serving.blueprint, blueprint)
            predecessor, self._serving = self._serving, successor
            going = asyncio.ensure_future(self._retire(predecessor))
            self._outgoing[going] = predecessor
            going.add_done_callback(self._outgoing.pop)
            _log.info(_BEGAN)
            return True

    @staticmethod
    def _note_rest(before: Blueprint, after: Blueprint) -> None:
        """Log what only a restart can change."""
        for name in _OF_PROCESS:
            if getattr(before.settings, name) != getattr(after.settings, name):
                _log.warning("gateway.%s: changed; takes effect when the process starts again", name)
        was, now = before.runtime.environment, after.runtime.environment
        if was is not None and now is not None and was.telemetry != now.telemetry:
            _log.warning("telemetry: changed; takes effect when the process starts again")

    async def _follow(self, updates: Updates, serving: Serving) -> None:
        """Take over the schemas of this one, and no others."""
        if self._updates is not None:
            await self._updates.stop()
        self._updates = updates
        if is_wanted(os.environ):
            updates.start(serving.gateway, _settle)

    async def _start(self, serving: Serving) -> None:
        started = False
        try:
            await serving.start()
            started = True
        finally:
            if not started:
                await serving.close()

    async def _retire(self, serving: Serving) -> None:
        try:
            await serving.hand_over(self._hurried)
        finally:
            await serving.close()
        _settle()

    # What it does

    async def run(self, ready: Callable[[Blueprint], None]) -> None:
        """Serve; calls `ready` when requests are answered. Raises ConfigError when there is nothing to serve."""
        telemetry = self._telemetry = self._set_up()
        # Labels would cost a look at each request; by route and status there are durations.
        telemetry.aggregates.observe(ACTIVE_REQUESTS, (), lambda: self.in_flight)
        try:
            updates = Updates(self._job.source)
            blueprint = await load_unless(self._told, self._job.source, telemetry)
            if blueprint is not None:
                await self._serve(blueprint, updates, ready)
        finally:
            telemetry.close()

    def _make(self, blueprint: Blueprint) -> Serving:
        return Serving(blueprint, self._job.held, self._job.rpc_listen)

    async def _serve(
        self, blueprint: Blueprint, updates: Updates, ready: Callable[[Blueprint], None]
    ) -> None:
        self._watcher = reload.watch(blueprint.runtime, os.environ)
        renewing = asyncio.ensure_future(self._renew())
        try:
            first = self._make(blueprint)
            await self._start(first)
            self._serving = first
            _settle()
            gc.set_threshold(50_000, 50, 1_000)
            await self._follow(updates, first)
            ready(blueprint)
            await self._until_told()
            await self._serving.drain(self._hurried, patient=self._patient)
        finally:
            renewing.cancel()
            if self._updates is not None:
                await self._updates.stop()
            if self._watcher is not None:
                self._watcher.stop()
            if self._serving is not None:
                await self._serving.close()
            if self._outgoing:
                await asyncio.wait(self._outgoing)

    async def _until_told(self) -> None:
        """Wait until it is told to stop, or what serves ends by itself."""
        told = asyncio.ensure_future(self._told.wait())
        try:
            while self._serving is not None:
                ended = self._serving.ended
                either: set[asyncio.Future[Any]] = {told, ended}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                # One that was replaced ends as well, and is none of this one's business.
                if told.done() or ended is self._serving.ended:
                    return
        finally:
            told.cancel()

    async def _renew(self) -> None:
        """Follow the certificate's files."""
        while is_wanted(os.environ):
            await asyncio.sleep(INTERVAL)
            async with self._reloading:
                if self._serving is not None and await self._serving.renew():
                    _log.info("the certificate has changed: new connections are shown the new one")

    def _set_up(self) -> Telemetry:
        settings = TelemetrySettings()
        if self._job.source.config:
            settings = settings_of(self._job.source.environment())
        environ = dict(os.environ)
        if self._job.workers > 1:
            # One address for all of them: who started them serves it, and asks each.
            settings = replace(settings, prometheus_listen="")
            environ.pop(METRICS_LISTEN, None)
        return setup(settings, name=environ.get("MESH_SERVICE") or "gateway", environ=environ)

    def __repr__(self) -> str:
        return f"<Worker {self._job.index} {self._serving!r}>"


def _settle() -> None:
    """Have the collector look at what there is now for the last time: it lives until the next reload (p99 11 -> 3.7 ms)."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


async def load_unless(
    told: asyncio.Event, source: Source, telemetry: Telemetry | None = None
) -> Blueprint | None:
    """Return what the source describes, or None when `told` is set first: a backend that is not there takes long."""
    loading = asyncio.ensure_future(load(source, telemetry))
    stopped = asyncio.ensure_future(told.wait())
    try:
        await asyncio.wait({loading, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return loading.result() if loading.done() else None
    finally:
        stopped.cancel()
        loading.cancel()


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run a process that serves. Uses uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
