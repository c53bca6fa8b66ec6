"""What the channels and servers of a process share: its environment, policies, telemetry and mechanism state."""

from __future__ import annotations

import atexit
import functools
import os
import sys

from mesh.call import Side
from mesh.chain import Chains
from mesh.config import environment as environments
from mesh.config.spec import Environment
from mesh.errors import ConfigError
from mesh.policy.table import PolicyTable, load
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
        if policies is None:
            policies = PolicyTable()
            if environment is not None:
                policies, problems = load(environment.proto.policies)
                if problems:
                    raise ConfigError(problems)
        self.policies = policies

    def chains(self, side: Side, target: str, *, native: bool = False) -> Chains:
        return Chains(
            self.policies, side=side, target=target, telemetry=self.telemetry, state=self.state, native=native
        )

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
    return Runtime(environment, telemetry=telemetry)
