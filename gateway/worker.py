"""One serving process: it loads, listens, says so, and drains when told to stop.

load ─► open channels ─► listen ─► ready ─► ... ─► told to stop
                                                   not ready, for a moment ─► no new connections
                                                   ─► requests in flight finish, or are answered 503 ─► closed
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from grpc_reflection.v1alpha import reflection_pb2_grpc
from grpc_reflection.v1alpha.reflection import SERVICE_NAME, aio

from gateway.app import Gateway
from gateway.blueprint import Blueprint
from gateway.composed import add_composed
from gateway.load import Source, load
from mesh.binding import reload
from mesh.binding.runtime import settings_of
from mesh.binding.server import server as grpc_server
from mesh.config.address import Address
from mesh.errors import ConfigError
from mesh.policy.problem import Problem
from mesh.telemetry.setup import METRICS_LISTEN, TelemetrySettings, setup
from mesh.telemetry.telemetry import Telemetry

LAME_DUCK: Final = 0.5
"""Seconds for load balancers and clients to turn away, before connections are refused."""
_LAST_WORDS: Final = 1.0
"""Seconds for requests that were cut off to be answered."""
_BACKLOG: Final = 1024
_MOST_IN_FLIGHT: Final = 4096
"""Requests per worker; more wait in their connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one worker is to do; it is sent to another process."""

    source: Source
    listen: Address
    """Where; the port is a real one."""
    index: int = 0
    workers: int = 1


class Worker:
    """Serves one job until it is told to stop."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._told = asyncio.Event()
        self._hurried = asyncio.Event()
        self._patient = True

    def stop(self, *, patient: bool = True) -> None:
        """Begin to drain; a second time: cut off what is in flight. An impatient stop skips the lame duck's moment."""
        if self._told.is_set():
            self._hurried.set()
        self._patient = self._patient and patient
        self._told.set()

    async def run(self, ready: Callable[[Blueprint], None]) -> None:
        """Serve; calls `ready` when requests are answered. Raises ConfigError when there is nothing to serve."""
        telemetry = self._telemetry()
        try:
            blueprint = await load_unless(self._told, self._job.source, telemetry)
            if blueprint is not None:
                await self._serve(blueprint, ready)
        finally:
            telemetry.close()

    async def _serve(self, blueprint: Blueprint, ready: Callable[[Blueprint], None]) -> None:
        gateway = Gateway(blueprint)
        gateway.open()
        http = http_server(gateway, self._job.listen)
        rpc = self._rpc_server(blueprint, gateway)
        serving = asyncio.ensure_future(http.serve())
        watcher = reload.watch(blueprint.runtime, os.environ)
        try:
            await until_listening(self._job.listen, serving)
            if rpc is not None:
                await rpc.start()
            # What was loaded lives as long as the process: the collector need not look at it again (p99 11 -> 3.7 ms).
            gc.collect()
            gc.freeze()
            gc.set_threshold(50_000, 50, 1_000)
            ready(blueprint)
            told = asyncio.ensure_future(self._told.wait())
            await asyncio.wait({told, serving}, return_when=asyncio.FIRST_COMPLETED)
            told.cancel()
            await self._drain(gateway, http, rpc, serving, blueprint.settings.stop_timeout)
        finally:
            if watcher is not None:
                watcher.stop()
            if not serving.done():
                http.stop()
                await _first(serving, seconds=_LAST_WORDS)
            await gateway.close()

    async def _drain(
        self, gateway: Gateway, http: Any, rpc: Any, serving: Awaitable[None], grace: float
    ) -> None:
        gateway.draining = True
        if self._patient and not serving.done():  # type: ignore[attr-defined]  # a future
            await _first(self._hurried.wait(), seconds=LAME_DUCK)
        http.stop()
        rest = [asyncio.ensure_future(rpc.drain())] if rpc is not None else []
        everything = asyncio.gather(serving, *rest)
        await _first(self._hurried.wait(), everything, seconds=grace)
        if not everything.done():
            gateway.cut_off()
            if rpc is not None:
                await rpc.stop()
            await _first(everything, seconds=_LAST_WORDS)

    def _rpc_server(self, blueprint: Blueprint, gateway: Gateway) -> Any:
        listen = blueprint.settings.grpc_listen
        if listen is None or not blueprint.plans:
            return None
        # Every worker accepts: the kernel spreads connections over them.
        shared = (("grpc.so_reuseport", 1),) if self._job.workers > 1 else ()
        server = grpc_server(
            "gateway", listen=str(listen), options=shared, reflection=False, using=blueprint.runtime
        )
        add_composed(server, blueprint.plans, gateway.live.backends, blueprint.settings.forward_headers)
        # Reflection of ours, for the schema is in a pool of its own.
        names = sorted({method[1:].partition("/")[0] for method in blueprint.plans})
        servicer = aio.ReflectionServicer((*names, SERVICE_NAME), pool=blueprint.schema.pool)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
        return server

    def _telemetry(self) -> Telemetry:
        settings = TelemetrySettings()
        if self._job.source.config:
            settings = settings_of(self._job.source.environment())
        environ = dict(os.environ)
        if self._job.index:
            # One address cannot be listened on twice: the first worker has it, the others take free ones.
            listen = environ.get(METRICS_LISTEN) or settings.prometheus_listen
            if listen:
                environ[METRICS_LISTEN] = f"{listen.rpartition(':')[0]}:0"
        return setup(settings, name=environ.get("MESH_SERVICE") or "gateway", environ=environ)

    def __repr__(self) -> str:
        return f"<Worker {self._job.index} on {self._job.listen}>"


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


# Milliseconds until a connection is closed that sends no request, or not all of its headers. Load balancers keep theirs
# for 60 s; a server that closes first races their next request, which then fails.
_IDLE: Final = 75_000


def http_server(gateway: Gateway, listen: Address) -> Any:
    from granian.constants import Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels
    from granian.server.embed import Server

    # The lifespan is ours: channels open before the first connection and close after the last.
    return Server(
        gateway,
        address=listen.host,
        port=listen.port,
        interface=Interfaces.ASGINL,
        websockets=False,
        backlog=_BACKLOG,
        backpressure=_MOST_IN_FLIGHT,
        http1_settings=HTTP1Settings(header_read_timeout=_IDLE),
        log_level=LogLevels.error,
        log_dictconfig=_LOGGING,
    )


# granian logs to standard output, which is the access log's.
_LOGGING: Final = {
    "handlers": {"console": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr"}},
    "loggers": {"_granian": {"handlers": ["console"], "propagate": False}},
}


async def until_listening(listen: Address, serving: asyncio.Future[None]) -> None:
    """Wait until a connection is accepted: granian does not say when it listens."""
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(*listen.reachable)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    error = serving.exception()
    raise ConfigError([Problem("", f'cannot listen on "{listen}": {error}')]) from error


async def _first(*awaitables: Awaitable[Any], seconds: float) -> None:
    """Wait until one is done, or the time is over; none is cancelled but those made here."""
    futures = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for future, given in zip(futures, awaitables, strict=True):
        if future is not given:
            future.cancel()


def run(
    worker: Worker, ready: Callable[[Blueprint], None], watch: Callable[[Worker], None] | None = None
) -> None:
    """Run a worker in this process until a signal or `watch` stops it. Uses uvloop where it is installed."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, worker.stop)
        loop.add_signal_handler(signal.SIGINT, lambda: worker.stop(patient=False))
        if watch is not None:
            watch(worker)
        await worker.run(ready)

    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
