"""One supervised process: does what its machine decides, and tells it what happens."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from mesh.config.address import Address
from mesh.up.health import GrpcProbe, HttpProbe
from mesh.up.log import Lines, Log
from mesh.up.machine import Action, Machine, State

_CHILD = str(Path(__file__).with_name("child.py"))
_GUARDIAN = str(Path(__file__).with_name("guardian.py"))
# No site, no environment: these two import nothing but the standard library, and start in a few milliseconds.
_BARE = (sys.executable, "-I", "-S")
_PROBE_STARTING, _PROBE_RUNNING = 0.1, 1.0
_SWEEPS, _SWEEP_PAUSE = 50, 0.01


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How one process is started, and where it is then found."""

    service: str
    label: str
    """What its lines of output are marked with: `catalog.0`."""
    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str]
    """All of it, not only what is added."""
    address: Address
    metrics: Address
    start_timeout: float
    stop_timeout: float


class Guardian:
    """The process that kills what is left when this one is killed."""

    def __init__(self) -> None:
        self._pipe = -1
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        read, self._pipe = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *_BARE, _GUARDIAN, stdin=read, start_new_session=True
            )
        finally:
            os.close(read)

    def add(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def remove(self, group: int) -> None:
        self._tell(f"-{group}\n")

    async def stop(self) -> None:
        if self._process is not None:
            os.close(self._pipe)
            await self._process.wait()
            self._process = None

    def _tell(self, line: str) -> None:
        # Somebody may have killed it; what it guards against has then not happened yet.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, line.encode())


class Process:
    """One instance, from its first start until it is stopped for good."""

    def __init__(
        self,
        launch: Launch,
        *,
        probe: GrpcProbe | HttpProbe,
        guardian: Guardian,
        log: Log,
        changed: Callable[[], None],
    ) -> None:
        self.launch = launch
        self.machine = Machine(start_timeout=launch.start_timeout, stop_timeout=launch.stop_timeout)
        self._probe = probe
        self._guardian = guardian
        self._log = log
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def state(self) -> State:
        return self.machine.state

    @property
    def pid(self) -> int | None:
        """The process that runs now, which leads its own process group."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        self._do(self.machine.start(self._loop.time()))

    def stop(self) -> None:
        self._do(self.machine.stop(self._loop.time()))

    def restart(self) -> None:
        self._do(self.machine.restart(self._loop.time()))

    def kill(self) -> None:
        self._do(self.machine.kill())

    async def close(self) -> None:
        """Let go of what is held for a process that is stopped."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._probe.close()

    def _do(self, action: Action | None) -> None:
        if action is Action.SPAWN:
            task = self._loop.create_task(self._live())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif action is not None:
            self._signal(action)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.machine.deadline < float("inf"):
            self._timer = self._loop.call_at(self.machine.deadline, self._tick)
        self._changed()

    def _tick(self) -> None:
        before = self.state
        action = self.machine.tick(self._loop.time())
        if action is Action.KILL:
            reason = "did not become healthy" if before is State.STARTING else "did not stop"
            self._say(f"{reason} in time and is killed")
        self._do(action)

    def _signal(self, action: Action) -> None:
        if self.pid is None:
            return  # `_live` is about to have one, and looks at the state then
        with contextlib.suppress(ProcessLookupError):
            if action is Action.TERMINATE:
                # Only the command itself: what it has started is its own to stop.
                os.kill(self.pid, signal.SIGTERM)
            else:
                os.killpg(self.pid, signal.SIGKILL)

    async def _live(self) -> None:
        """Run the command once, from start to exit."""
        read, write = os.pipe()
        try:
            process = await self._spawn(write)
        except OSError as error:
            os.close(read)
            self._say(f"cannot be started: {error}")
            self._do(self.machine.exited(self._loop.time(), 127))
            return
        finally:
            os.close(write)
        self._process = process
        self._guardian.add(process.pid)
        if self.state is State.STOPPING:  # while it was being started
            self._signal(Action.KILL if self.machine.deadline == float("inf") else Action.TERMINATE)
        output = _Output(read, lambda line: self._log(self.launch.label, line), self._loop)
        watch = self._loop.create_task(self._watch())
        try:
            code = await process.wait()
        finally:
            watch.cancel()
            self._process = None
            await self._sweep(process.pid)
        asked = self.state is State.STOPPING
        action = self.machine.exited(self._loop.time(), code)
        try:
            output.close()
            if not asked:
                self._say(f"ended with {_ending(code)}")
            if self.state is State.BACKOFF:
                self._say(f"is started again in {self.machine.deadline - self._loop.time():.1f} s")
        finally:
            self._do(action)  # whatever the log may do

    async def _spawn(self, output: int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(*_BARE, _CHILD, str(os.getpid()), *self.launch.command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=self.launch.directory,
            env=self.launch.environment,
            # A session of its own: Ctrl-C in the terminal is for `mesh up`, which stops things in order.
            start_new_session=True,
        )

    async def _watch(self) -> None:
        while True:
            serving = await self._probe()
            before = self.state
            self.machine.probed(self._loop.time(), serving=serving)
            if self.state is not before:
                self._do(None)
            await asyncio.sleep(_PROBE_STARTING if self.state is State.STARTING else _PROBE_RUNNING)

    async def _sweep(self, group: int) -> None:
        """Kill what the command started and left behind, and wait until it is gone: it may hold the port."""
        # Bounded: where nobody reaps orphans (a container without an init), a dead process keeps its group.
        for _ in range(_SWEEPS):
            try:
                os.killpg(group, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                break
            await asyncio.sleep(_SWEEP_PAUSE)
        self._guardian.remove(group)

    def _say(self, text: str) -> None:
        self._log(self.launch.label, f"[mesh] {self.launch.label} {text}")

    def __repr__(self) -> str:
        return f"<Process {self.launch.label} pid={self.pid} {self.machine!r}>"


class _Output:
    """Reads a pipe as it fills. Not asyncio's: its processes count as running while anybody holds their pipes."""

    def __init__(self, descriptor: int, take: Callable[[str], None], loop: asyncio.AbstractEventLoop) -> None:
        self._descriptor = descriptor
        self._take = take
        self._loop = loop
        self._lines = Lines()
        os.set_blocking(descriptor, False)
        loop.add_reader(descriptor, self._read)

    def _read(self) -> bool:
        try:
            data = os.read(self._descriptor, 65536)
        except BlockingIOError:
            return False
        for line in self._lines.feed(data):
            self._take(line)
        if not data:
            self._loop.remove_reader(self._descriptor)
        return bool(data)

    def close(self) -> None:
        """Take what was written before the end."""
        while self._read():
            pass
        for line in self._lines.end():
            self._take(line)
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
