"""An environment that runs: in which order its processes start and stop, and what each is told of the others."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import os
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from mesh.config import Address, Environment, Service
from mesh.config.resolve import resolve
from mesh.up import port
from mesh.up.health import GrpcProbe, HttpProbe
from mesh.up.log import Log
from mesh.up.machine import State
from mesh.up.measure import Meter, Row
from mesh.up.process import Guardian, Launch, Process
from mesh.v1 import config_pb2

GATEWAY = "gateway"
START_TIMEOUT = 120.0
RECONNECT_PAUSE = 5.0
"""The longest that clients wait between connection attempts, by default: mesh.v1.Reconnect."""

# A server says NOT_SERVING for a moment before it stops: that is not the time its calls have.
_LAME_DUCK = 1.0


class StartError(Exception):
    """The environment is not running; what was started is stopped again."""


class Supervisor:
    """Starts an environment on entry, keeps it running, and stops it on exit.

    On entry it waits until everything is healthy; raises StartError if that takes longer than `timeout` (None: waits
    for ever). `log` gets every line of output with the name of the instance.
    """

    def __init__(
        self,
        environment: Environment,
        *,
        log: Log,
        timeout: float | None = START_TIMEOUT,
        draw: random.Random | None = None,
    ) -> None:
        self.environment = environment
        self.gateway: Address | None = None
        """Where the gateway can be reached."""
        self.config = Path()
        """The environment as its processes see it (MESH_CONFIG), while it runs."""
        self._log = log
        self._timeout = timeout
        self._draw = draw or random.Random()  # noqa: S311 - spreads ports, keeps no secret
        self._guardian = Guardian()
        self._processes: list[Process] = []
        self._starters: list[asyncio.Task[None]] = []
        self._waiting: set[asyncio.Future[None]] = set()
        self._meter = Meter()
        self._dead = False
        self._stopping: asyncio.Task[None] | None = None
        self._endpoints: dict[str, list[Address]] = {}
        self._listen: Address | None = None

    @property
    def processes(self) -> Sequence[Process]:
        return self._processes

    def instances(self, name: str) -> list[Process]:
        """Return the processes of a service, or of `gateway`."""
        return [process for process in self._processes if process.launch.service == name]

    async def __aenter__(self) -> Self:
        ready = False
        try:
            await self._prepare()
            await self._ready()
            ready = True
        finally:
            if not ready:  # whatever ends the start, a Ctrl-C too, ends what was started
                await self.stop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def restart(self, name: str, *, pause: float = RECONNECT_PAUSE) -> None:
        """Restart the instances of a service one by one, each when the one before is healthy again.

        Clients need a moment to come back to an instance that was away; `pause` is that moment, in seconds. With two
        instances or more, no call fails. Raises KeyError for a service that is not running here.
        """
        processes = self.instances(name)
        if not processes:
            raise KeyError(name)
        for index, process in enumerate(processes):
            if index:
                await asyncio.sleep(pause)
            started = process.machine.restarts
            process.restart()
            await self._until(functools.partial(_is_back, process, started))

    def push(self, policies: config_pb2.Policies) -> None:
        """Have every process follow new policies, which are known to be right; nothing is restarted.

        They read them where they read the environment, so one that is started again later finds them too.
        """
        proto = config_pb2.Environment()
        proto.CopyFrom(self.environment.proto)
        proto.policies.CopyFrom(policies)
        self.environment = dataclasses.replace(self.environment, proto=proto)
        text = resolve(self.environment, self._endpoints, self._listen)
        # By a rename: whoever looks sees the old file or the new one, and never half of one.
        beside = self.config.with_suffix(".next")
        beside.write_text(text, encoding="utf-8")
        beside.replace(self.config)

    async def measure(self) -> list[Row]:
        """Return one row for each service, the gateway last, with rates since about ten seconds ago."""
        return await self._meter.measure(self.environment, self._processes, asyncio.get_running_loop().time())

    async def stop(self) -> None:
        """Stop everything, each service after those that said they need it. May be called again."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop_all())
        # Whoever waits for it may be cancelled; what runs is stopped all the same.
        await asyncio.shield(self._stopping)

    def kill(self) -> None:
        """Kill everything now. `stop` has still to be awaited, and is then quick."""
        self._dead = True
        for process in self._processes:
            process.kill()

    # Starting

    async def _prepare(self) -> None:
        environment = self.environment
        started = [service for service in environment.services if service.command]
        listen = environment.gateway.listen if environment.gateway else None
        if listen is not None and listen.port and not port.is_free(listen):
            raise StartError(f'gateway.listen: "{listen}" is in use by another program')
        count = sum(service.instances for service in started)
        addresses = iter(port.choose(2 * count + 2, self._draw))
        endpoints = {service.name: [next(addresses) for _ in range(service.instances)] for service in started}
        if listen is not None:
            listen = listen if listen.port else listen._replace(port=next(addresses).port)
            self.gateway = listen.reachable
        self._endpoints, self._listen = endpoints, listen
        self.config = _write(environment.file.parent, resolve(environment, endpoints, listen))
        await self._guardian.start()
        for service in started:
            for index, address in enumerate(endpoints[service.name]):
                self._add(self._service(service, index, address, next(addresses)), GrpcProbe(str(address)))
        if listen is not None and self.gateway is not None:
            self._add(self._gateway(listen, next(addresses)), HttpProbe(self.gateway))
        self._starters = [asyncio.create_task(self._start(process)) for process in self._processes]

    def _add(self, launch: Launch, probe: GrpcProbe | HttpProbe) -> None:
        self._processes.append(
            Process(launch, probe=probe, guardian=self._guardian, log=self._log, changed=self._changed)
        )

    def _service(self, service: Service, index: int, address: Address, metrics: Address) -> Launch:
        first, *rest = service.command
        return Launch(
            service=service.name,
            label=f"{service.name}.{index}" if service.instances > 1 else service.name,
            command=(sys.executable if first == "python" else first, *rest),
            directory=service.directory,
            environment=self._environ(service.name, index, address, metrics) | dict(service.environment),
            address=address,
            metrics=metrics,
            start_timeout=service.start_timeout,
            stop_timeout=service.stop_timeout + _LAME_DUCK,
        )

    def _gateway(self, listen: Address, metrics: Address) -> Launch:
        gateway = self.environment.gateway
        assert gateway is not None  # noqa: S101 - the caller's condition
        return Launch(
            service=GATEWAY,
            label=GATEWAY,
            command=(sys.executable, "-m", "gateway", "--config", str(self.config)),
            directory=self.environment.file.parent,
            environment=self._environ(GATEWAY, 0, listen, metrics),
            address=listen,
            metrics=metrics,
            start_timeout=30.0,
            stop_timeout=gateway.stop_timeout + _LAME_DUCK,
        )

    def _environ(self, name: str, index: int, address: Address, metrics: Address) -> dict[str, str]:
        return {
            "PYTHONUNBUFFERED": "1",  # a pipe is no terminal: Python would keep output back until it has 8 KiB
            **os.environ,
            "MESH_CONFIG": str(self.config),
            "MESH_SERVICE": name,
            "MESH_INSTANCE": str(index),
            "MESH_LISTEN": str(address),
            "MESH_METRICS_LISTEN": str(metrics),
        }

    def _needs(self, process: Process) -> list[str]:
        """Return the services that must be healthy before this process starts."""
        if process.launch.service == GATEWAY:
            return [service.name for service in self.environment.services if service.command]
        service = self.environment.service(process.launch.service)
        return list(service.after) if service else []

    async def _start(self, process: Process) -> None:
        for name in self._needs(process):
            if self.instances(name):
                await self._until(functools.partial(_are_healthy, self.instances(name)))
            else:
                await self._elsewhere(name)
        process.start()

    async def _elsewhere(self, name: str) -> None:
        """Wait for a service that runs elsewhere."""
        service = self.environment.service(name)
        assert service is not None  # noqa: S101 - `after` was checked when the environment was read
        targets = (
            [f"dns:///{service.dns}"] if service.dns else [str(endpoint) for endpoint in service.endpoints]
        )
        probes = [GrpcProbe(target) for target in targets]
        try:
            while True:
                for probe in probes:
                    if await probe():
                        return
                await asyncio.sleep(0.25)
        finally:
            for probe in probes:
                await probe.close()

    async def _ready(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self._until(functools.partial(_are_healthy, self._processes))
        except TimeoutError:
            late = ", ".join(
                f"{process.launch.label} ({_condition(process)})"
                for process in self._processes
                if process.state is not State.HEALTHY
            )
            raise StartError(f"not healthy after {self._timeout:g} s: {late}") from None

    # Stopping

    async def _stop_all(self) -> None:
        for task in self._starters:
            task.cancel()
        await asyncio.gather(*self._starters, return_exceptions=True)
        async with asyncio.TaskGroup() as group:
            for process in self._processes:
                group.create_task(self._stop(process))
        for process in self._processes:
            await process.close()
        await self._guardian.stop()
        if self.config.is_file():
            self.config.unlink()

    async def _stop(self, process: Process) -> None:
        name = process.launch.service
        dependants = [other for other in self._processes if name in self._needs(other)]
        await self._until(lambda: self._dead or all(other.state is State.STOPPED for other in dependants))
        process.stop()
        await self._until(lambda: process.state is State.STOPPED)

    # Waiting

    def _changed(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            try:
                await waiter
            finally:
                self._waiting.discard(waiter)

    def __repr__(self) -> str:
        return f"<Supervisor {self.environment.file} {self._processes!r}>"


def _are_healthy(processes: Sequence[Process]) -> bool:
    return all(process.state is State.HEALTHY for process in processes)


def _is_back(process: Process, restarts: int) -> bool:
    again = process.state is State.HEALTHY and process.machine.restarts > restarts
    return again or process.state is State.STOPPED


def _condition(process: Process) -> str:
    code = process.machine.exit_code
    return process.state.value if code is None else f"{process.state.value}, last exit code {code}"


def _write(folder: Path, text: str) -> Path:
    """Write the resolved environment, for as long as it runs; clear away what killed runs left."""
    run = folder / ".mesh" / "run"
    run.mkdir(parents=True, exist_ok=True)
    (folder / ".mesh" / ".gitignore").write_text("*\n", encoding="utf-8")
    for old in run.glob("*-*.yaml"):
        pid = old.name.partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            with contextlib.suppress(FileNotFoundError):
                old.unlink()
    descriptor, name = tempfile.mkstemp(prefix=f"{os.getpid()}-", suffix=".yaml", dir=run)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return Path(name)
