"""An environment for bad weather: a calm backend, a stormy one, a wreck, and the gateway in front of them."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterator

import pytest

from mesh.generate import Request, generate
from tests.gateway.server.process import GatewayProcess
from tests.weather.backend import BackendProcess, free_port

HERE = pathlib.Path(__file__).parent

# Short times, so that a storm passes within seconds. One window of the budget is 2 s: a fifth of the calls, and 2.
MESH = """
descriptors: [weather.binpb]
services:
  - {{name: calm, serves: [weather.v1.CalmService], endpoints: ["{calm}"]}}
  - {{name: storm, serves: [weather.v1.StormService], endpoints: ["{storm}"]}}
  - {{name: wreck, serves: [weather.v1.WreckService], endpoints: ["{wreck}"]}}
policies:
  defaults:
    connection: {{reconnect: {{initial_backoff: 0.1s, max_backoff: 0.3s}}}}
    retry: {{budget: {{ratio: 0.2, min_per_second: 1, window: 2s}}}}
  services:
    - service: weather.v1.CalmService
      policy: {{deadline: {{default_timeout: 5s}}}}
    - service: weather.v1.StormService
      policy:
        deadline: {{default_timeout: 0.5s, max_timeout: 0.5s}}
        circuit_breaker: {{consecutive_failures: 10, failure_ratio: 0, open_for: 0.5s, max_open_for: 1s}}
      methods:
        - {{method: GetGust, policy: {{circuit_breaker: {{enabled: false}}}}}}
        - {{method: WatchWind, policy: {{deadline: {{enabled: false}}}}}}
        - {{method: SetMood, policy: {{deadline: {{default_timeout: 5s, max_timeout: 5s}}}}}}
    - service: weather.v1.WreckService
      policy:
        deadline: {{default_timeout: 0.5s, max_timeout: 0.5s}}
        circuit_breaker: {{enabled: false}}
        connection: {{health_check: {{enabled: false}}}}
gateway: {{listen: "127.0.0.1:0"}}
telemetry: {{prometheus_listen: "127.0.0.1:{metrics}"}}
"""


@dataclasses.dataclass
class Sky:
    """What the weather is made in, all of it running."""

    gateway: GatewayProcess
    metrics: int
    """The port of the gateway's metrics."""
    storm: BackendProcess


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return a folder with stubs and a descriptor set."""
    folder = tmp_path_factory.mktemp("weather")
    generate(Request(folders=(HERE / "protos",), out=folder / "stubs", descriptors=folder / "weather.binpb"))
    return folder


@pytest.fixture
def raise_sky(generated: pathlib.Path) -> Iterator[Callable[..., Sky]]:
    """Start an environment; all of it ends with the test."""
    backends = [BackendProcess("calm", generated), BackendProcess("storm", generated)]
    gateways: list[GatewayProcess] = []

    def begin(wreck: str = "127.0.0.1:1") -> Sky:
        calm, storm = backends
        metrics = free_port()
        file = generated / "mesh.yaml"
        file.write_text(MESH.format(calm=calm.address, storm=storm.address, wreck=wreck, metrics=metrics))
        for backend in backends:
            backend.start()
        gateways.append(GatewayProcess("gateway", "--config", str(file)))
        assert gateways[0].port
        return Sky(gateways[0], metrics, storm)

    yield begin
    for process in (*backends, *gateways):
        process.kill() if isinstance(process, BackendProcess) else process.stop()
