"""When a supervised process is started, given up and started again: decided here, done by `mesh.up.process`.

                start             healthy
    PENDING ------------> STARTING -------> HEALTHY <----> UNHEALTHY
                           ^    |              |               |      exited: wait, longer each time
                           |    +--------------+---------------+----------------------------> BACKOFF
                           +---------------------------------------------------------------------+
                                               the wait is over
    From anywhere: stop -> STOPPING (SIGTERM; SIGKILL when its time is up) -> STOPPED.

A process that is not healthy in time is killed and counts as failed. A process that is unhealthy but runs is left to
run: it says itself that it should get no calls, and may recover. The wait doubles with each failure in a row and starts
anew after the process was healthy for a while. Restarting is stopping, and starting again once it has exited.

Time is an argument, in monotonic seconds; nothing here starts, waits or signals.
"""

from __future__ import annotations

import enum
import math


class State(enum.Enum):
    """Where a process stands."""

    PENDING = "pending"
    """Waits for what it needs."""
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    BACKOFF = "backoff"
    """Exited; waits before it is started again."""
    STOPPING = "stopping"
    STOPPED = "stopped"


class Action(enum.Enum):
    """What the shell is to do now."""

    SPAWN = "spawn"
    TERMINATE = "terminate"
    KILL = "kill"


RUNNING = frozenset((State.STARTING, State.HEALTHY, State.UNHEALTHY, State.STOPPING))
"""There is a process."""


class Machine:
    """One process, as its supervisor sees it. Each input returns what is to be done."""

    __slots__ = (
        "_again",
        "_backoff",
        "_failures",
        "_healthy_since",
        "_killed",
        "_max_backoff",
        "_stable_after",
        "_start_timeout",
        "_stop_timeout",
        "deadline",
        "exit_code",
        "restarts",
        "state",
    )

    def __init__(
        self,
        *,
        start_timeout: float,
        stop_timeout: float,
        backoff: float = 0.5,
        max_backoff: float = 30.0,
        stable_after: float = 10.0,
    ) -> None:
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._backoff = backoff
        self._max_backoff = max_backoff
        self._stable_after = stable_after
        self._failures = 0
        self._healthy_since = math.inf
        self._again = False
        self._killed = False
        self.state = State.PENDING
        self.deadline = math.inf
        """When `tick` has something to say next."""
        self.exit_code: int | None = None
        """How the last process ended."""
        self.restarts = 0
        """Starts after the first."""

    def start(self, now: float) -> Action | None:
        """What it needs is there."""
        return self._spawn(now) if self.state is State.PENDING else None

    def probed(self, now: float, *, serving: bool) -> None:
        """It was asked whether it is healthy."""
        if serving and self.state in {State.STARTING, State.UNHEALTHY} and not self._killed:
            self.state, self.deadline = State.HEALTHY, math.inf
            self._healthy_since = now
        elif not serving and self.state is State.HEALTHY:
            self.state = State.UNHEALTHY

    def exited(self, now: float, code: int) -> Action | None:
        """There is no process any more."""
        if self.state not in RUNNING:
            return None
        self.exit_code = code
        if self.state is State.STOPPING:
            if self._again:
                self.restarts += 1
                self._failures = 0
                return self._spawn(now)
            self.state, self.deadline = State.STOPPED, math.inf
            return None
        if now - self._healthy_since >= self._stable_after:
            self._failures = 0
        # Bounded before it is a power: after a weekend of failures 2**n is no float.
        wait = min(self._backoff * 2 ** min(self._failures, 30), self._max_backoff)
        self._failures += 1
        self.state, self.deadline = State.BACKOFF, now + wait
        return None

    def tick(self, now: float) -> Action | None:
        """Time has passed."""
        if now < self.deadline:
            return None
        if self.state is State.BACKOFF:
            self.restarts += 1
            return self._spawn(now)
        return self._kill()

    def stop(self, now: float) -> Action | None:
        """End it for good."""
        self._again = False
        if self.state in {State.PENDING, State.BACKOFF}:
            self.state, self.deadline = State.STOPPED, math.inf
            return None
        return self._terminate(now)

    def restart(self, now: float) -> Action | None:
        """End it, and start it again."""
        if self.state is State.BACKOFF:
            self.deadline = now
            return None
        if self.state not in {State.STARTING, State.HEALTHY, State.UNHEALTHY}:
            return None
        self._again = True
        return self._terminate(now)

    def kill(self) -> Action | None:
        """End it now, and for good."""
        self._again = False
        if self.state in RUNNING:
            self.state = State.STOPPING
            return self._kill()
        self.state, self.deadline = State.STOPPED, math.inf
        return None

    def _spawn(self, now: float) -> Action:
        self.state, self.deadline = State.STARTING, now + self._start_timeout
        self._healthy_since = math.inf
        self._again = self._killed = False
        return Action.SPAWN

    def _terminate(self, now: float) -> Action | None:
        if self.state not in {State.STARTING, State.HEALTHY, State.UNHEALTHY}:
            return None
        self.state, self.deadline = State.STOPPING, now + self._stop_timeout
        return None if self._killed else Action.TERMINATE

    def _kill(self) -> Action | None:
        self.deadline = math.inf
        if self._killed:
            return None
        self._killed = True
        return Action.KILL

    def __repr__(self) -> str:
        return f"<Machine {self.state.value} failures={self._failures} restarts={self.restarts}>"
