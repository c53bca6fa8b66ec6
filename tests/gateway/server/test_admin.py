"""The admin port of a running gateway, with one worker and with several."""

from __future__ import annotations

import json
import signal
import socket
import urllib.error
import urllib.request

import pytest

from tests.gateway.server.process import Connection, get, until

pytestmark = pytest.mark.slow

HELD = b"GET /v1/books/held HTTP/1.1\r\nhost: x\r\n\r\n"


def read(place: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{place}{path}", timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("workers", [1, 2])
def test_what_an_operator_asks(start, environment, workers):
    gateway = start("gateway", "--config", environment(admin_listen="127.0.0.1:0", workers=workers))
    port, place = gateway.port, gateway.place("admin")
    assert get(port, "/v1/books/one")[0] == 200
    assert get(port, "/metrics")[0] == 404
    assert read(place, "/healthz")[0] == 200
    assert json.loads(read(place, "/readyz")[1]) == {
        "status": "SERVING",
        "workers": workers,
        "ready": workers,
    }
    assert json.loads(read(place, "/config")[1])["gateway"]["workers"] == workers
    assert "GET     /v1/books/{id}" in read(place, "/routes?format=text")[1]
    assert read(place, "/routes")[1].count("library.v1.LibraryService/GetBook") == 1
    policy = read(place, "/policy?method=library.v1.LibraryService/GetBook")
    assert (policy[0], "deadline" in policy[1], "native, by gRPC's core" in policy[1]) == (200, True, True)
    assert read(place, "/policy?method=library.v1.LibraryService/Nothing")[0] == 404
    schemas = json.loads(read(place, "/schema")[1])["workers"]
    assert len(schemas) == workers
    assert len({one["hash"] for one in schemas.values()}) == 1
    held = [Connection(port, HELD) for _ in range(4)]

    def in_flight() -> int:
        shown = json.loads(read(place, "/workers")[1])["workers"]
        return sum(one["in_flight"] for one in shown.values())

    until(lambda: in_flight() == 4)
    metrics = read(place, "/metrics")[1]
    assert all(f'http_server_active_requests{{worker="{index}"}}' in metrics for index in range(workers))
    assert 'http_route="/v1/books/{id}"' in metrics
    for connection in held:
        connection.socket.close()
    until(lambda: in_flight() == 0)
    gateway.signal()
    assert gateway.end() == 0


def test_several_workers_metrics_are_at_the_configured_address(start, environment):
    file = environment(workers=2)
    with open(file, "a") as config:
        config.write("telemetry: {prometheus_listen: '127.0.0.1:0'}\n")
    gateway = start("gateway", "--config", file)
    place = gateway.place("metrics")
    metrics = read(place, "/metrics")[1]
    assert all(f'process_cpu_seconds_total{{worker="{index}"}}' in metrics for index in range(2))
    assert read(place, "/config")[0] == 404
    gateway.signal(signal.SIGTERM)
    assert gateway.end() == 0


def test_a_gateway_that_drains_is_not_ready(start, environment):
    gateway = start("gateway", "--config", environment(admin_listen="127.0.0.1:0", workers=2))
    place, held = gateway.place("admin"), Connection(gateway.port, HELD)
    until(lambda: '"in_flight": 1' in read(place, "/workers")[1])
    gateway.signal()
    until(lambda: read(place, "/readyz")[0] == 503)
    assert read(place, "/healthz")[0] == 200
    gateway.signal()
    assert b"503" in held.read_all()
    assert gateway.end() == 0


@pytest.mark.parametrize("setting", ["grpc_listen", "admin_listen"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_that_somebody_has_is_refused(start, environment, setting, workers):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        gateway = start("gateway", "--config", environment(workers=workers, **{setting: place}))
        assert gateway.end() == 2
    assert gateway.lines == [f'gateway.{setting}: cannot listen on "{place}": Address already in use']
