"""SIGHUP: new settings are followed without a failed request, wrong ones are refused, by one worker and by several."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import grpc
import pytest

from tests.gateway.server.process import get, until

pytestmark = pytest.mark.slow


class Load:
    """Clients that ask for a book again and again, half of them over a new connection each time."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self._port = port
        self._done = threading.Event()
        self.answered: list[int] = []
        self.failed: list[Exception] = []
        self._threads = [
            threading.Thread(target=self._ask, args=(number % 2 == 0,)) for number in range(clients)
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, keeps: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        while not self._done.is_set():
            try:
                connection.request("GET", "/v1/books/one")
                response = connection.getresponse()
                response.read()
                self.answered.append(response.status)
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(error)
                connection.close()
            if not keeps:
                connection.close()
        connection.close()

    def go_on(self) -> None:
        """Wait until some more are answered."""
        before = len(self.answered)
        until(lambda: len(self.answered) > before + 100)

    def stop(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(20)


def reloads(lines: list[str]) -> int:
    return sum(line.startswith("reloaded") for line in lines)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_reload_fails_no_request(start, environment, workers):
    file = environment(workers=workers, grpc_listen="127.0.0.1:0", security_headers="true")
    gateway = start("gateway", "--config", file)
    port = gateway.port
    assert get(port, "/v1/books/one")[1]["x-content-type-options"] == "nosniff"
    load = Load(port)
    load.go_on()
    for number, setting in enumerate(("false", "true", "false"), 1):
        environment(workers=workers, grpc_listen="127.0.0.1:0", security_headers=setting)
        gateway.signal(signal.SIGHUP)
        gateway.wait_for(lambda number=number: reloads(gateway.lines) == number)
        load.go_on()
    load.stop()
    assert (load.failed, set(load.answered)) == ([], {200})
    assert all("x-content-type-options" not in get(port, "/v1/books/one")[1] for _ in range(8))
    with grpc.insecure_channel(gateway.place("gRPC")) as channel:
        answer = channel.unary_unary("/library.v1.LibraryService/GetBook")(b"\n\x03one", timeout=10)
    assert b"Title of one" in answer
    gateway.signal()
    assert gateway.end() == 0


@pytest.fixture
def node() -> str:
    found = shutil.which("node")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("node is not installed")
        pytest.skip("node is not installed")
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_a_reload_fails_no_request_over_http_2(node, start, environment, workers):
    # Not Python's h2: it closes its own side of a connection at the first GOAWAY, answers in flight included.
    gateway = start("gateway", "--config", environment(workers=workers))
    script = Path(__file__).with_name("http2_load.mjs")
    client = subprocess.Popen(
        [node, str(script), f"http://127.0.0.1:{gateway.port}", "/v1/books/one"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for number in range(1, 4):
            lines = len(gateway.log)
            gateway.wait_for(lambda lines=lines: len(gateway.log) > lines + 100)
            gateway.signal(signal.SIGHUP)
            gateway.wait_for(lambda number=number: reloads(gateway.lines) == number)
        said = json.loads(client.communicate("", 20)[0])
    finally:
        if client.poll() is None:
            client.kill()
            client.wait(10)
    assert (said["failed"], said["answered"] > 300) == ([], True)
    gateway.signal()
    assert gateway.end() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_configuration_that_is_wrong_changes_nothing(start, environment, workers):
    file = Path(environment(workers=workers))
    gateway = start("gateway", "--config", str(file))
    port = gateway.port
    right = file.read_text()
    file.write_text(right.replace("listen: 127.0.0.1:0", "services: [no.such.Service]"))
    gateway.signal(signal.SIGHUP)
    gateway.wait_for(lambda: any("goes on serving" in line for line in gateway.lines))
    assert any('"no.such.Service" is not a service of the schema' in line for line in gateway.lines)
    assert get(port, "/v1/books/one")[0] == 200
    file.write_text(right)
    gateway.signal(signal.SIGHUP)
    gateway.wait_for(lambda: reloads(gateway.lines) == 1)
    assert get(port, "/v1/books/one")[0] == 200
    gateway.signal()
    assert gateway.end() == 0


def test_what_only_a_restart_can_change_is_said(start, environment):
    file = environment()
    gateway = start("gateway", "--config", file)
    port = gateway.port
    environment(workers=3, admin_listen="127.0.0.1:0")
    gateway.signal(signal.SIGHUP)
    gateway.wait_for(lambda: reloads(gateway.lines) == 1)
    for name in ("workers", "admin_listen"):
        assert any(
            f"gateway.{name}: changed; takes effect when the process starts again" in line
            for line in gateway.lines
        )
    assert get(port, "/v1/books/one")[0] == 200
