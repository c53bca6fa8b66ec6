"""What the channels and servers of a process share: its environment, policies, telemetry and mechanism state."""

from __future__ import annotations

import atexit
import functools
import os
import sys
import threading
import weakref
from collections.abc import Sequence

from mesh.binding import reload
from mesh.binding.alarm import Alarms
from mesh.binding.capability import inert_at
from mesh.binding.drive_sync import Turns
from mesh.call import Colour, Side
from mesh.chain import Chains
from mesh.config import environment as environments
from mesh.config.spec import Environment
from mesh.errors import ConfigError
from mesh.placement import Placed, extend
from mesh.policy.table import PolicyTable, load
from mesh.stage.copier import Copier
from mesh.stage.scope import State
from mesh.telemetry.setup import TelemetrySettings, setup
from mesh.telemetry.telemetry import Telemetry


class Runtime:
    """One process's view of the mesh. Most programs use `current()` without knowing it."""

    def __init__(
        self,
        environment: Environment | None = None,
        *,
        telemetry: Telemetry | None = None,
        policies: PolicyTable | None = None,
    ) -> None:
        """Raise ConfigError with every problem when the environment's policies are wrong."""
        self.environment = environment
        self.telemetry = Telemetry() if telemetry is None else telemetry
        self.state = State()
        # Neither mechanisms nor numbers are thread-safe. Those of an event loop take no lock, so threads have their own.
        self._threads = self.telemetry.apart(), State()
        self.turns = Turns()
        """Taken by the threads of the synchronous API, one at a time, while stages run."""
        self.alarms = Alarms()
        """What becomes of the synchronous API's calls in time, beside the threads that wait for them."""
        if policies is None:
            policies = PolicyTable()
            if environment is not None:
                policies, problems = load(environment.proto.policies)
                if problems:
                    raise ConfigError(problems)
        self.policies = policies
        self.changing = threading.Lock()
        """Held from reading what new policies are made of until they are in place: the last to read is the last to put."""
        self._live: weakref.WeakSet[Chains] = weakref.WeakSet()

    def chains(
        self,
        side: Side,
        target: str,
        *,
        native: bool = False,
        colour: Colour = Colour.AIO,
        own: bool = False,
        stages: Sequence[Placed] = (),
        copier: Copier | None = None,
        subsets: tuple[str, ...] | None = None,
    ) -> Chains:
        """Return the chains of one side of one target; `own`: for interceptors in a channel of the application's own.

        Raises ChainError when `stages` cannot be where they are placed.
        """
        telemetry, state = (self.telemetry, self.state) if colour is Colour.AIO else self._threads
        with self.state.compiling:  # not between a push's look at what is live and its end
            made = Chains(
                self.policies,
                side=side,
                target=target,
                telemetry=telemetry,
                state=state,
                native=native,
                order=extend(stages, side),
                inert=inert_at(colour, own=own),
                copier=copier,
                subsets=subsets,
            )
            self._live.add(made)
        return made

    def reload(self, policies: PolicyTable) -> None:
        """Let every call that begins from now on follow new policies. May be called from any thread.

        Chains are compiled beside those that serve and put in place one assignment each; calls in flight keep theirs.
        Mechanisms whose own policy did not change keep their state, those that no policy names any more are dropped.
        Raises ConfigError, and changes nothing, when a method in use cannot be called under them.
        """
        telemetry, state = self._threads
        with (
            self.state.renewal(),
            self.telemetry.aggregates.renewal(self.state),
            state.renewal(),
            telemetry.aggregates.renewal(state),
        ):
            for adopt in [chains.prepare(policies) for chains in list(self._live)]:
                adopt()
            self.policies = policies

    def __repr__(self) -> str:
        return f"<Runtime {self.environment.file if self.environment else 'without an environment'}>"


def settings_of(environment: Environment) -> TelemetrySettings:
    """Return an environment's telemetry in the form `setup` takes."""
    spec = environment.telemetry
    return TelemetrySettings(
        prometheus_listen="" if spec.prometheus_listen is None else str(spec.prometheus_listen),
        otlp_endpoint=spec.otlp_endpoint,
        trace_ratio=spec.trace_ratio,
        console=spec.console,
    )


@functools.cache
def current() -> Runtime:
    """Return the runtime of this process, made at first use from MESH_CONFIG or ./mesh.yaml.

    Process-wide because what it stands for is: one environment file, one metrics endpoint, one set of OpenTelemetry
    providers.
    """
    environment = environments.current()
    settings = TelemetrySettings() if environment is None else settings_of(environment)
    name = os.environ.get("MESH_SERVICE") or os.path.basename(sys.argv[0]) or "python"
    telemetry = setup(settings, name=name, environ=os.environ)
    atexit.register(telemetry.close)
    runtime = Runtime(environment, telemetry=telemetry)
    reload.watch(runtime, os.environ)
    return runtime
