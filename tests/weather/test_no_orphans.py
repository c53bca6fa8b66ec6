"""`mesh up` with a gateway of several workers: whenever and however it ends, no process stays and no port is held.

tests/cli/test_up.py has more moments, for services alone; here are the processes that the gateway starts itself.
"""

from __future__ import annotations

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.gateway.server.process import ENVIRON, ROOT, until
from tests.weather.backend import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

MARK = "WEATHER_TEST"
MESH = """
descriptors: [weather.binpb]
services:
  - name: calm
    serves: [weather.v1.CalmService]
    command: [python, -m, tests.weather.backend_process, calm, {folder}/stubs]
    directory: {root}
    stop_timeout: 2s
  - name: storm
    serves: [weather.v1.StormService]
    command: [python, -m, tests.weather.backend_process, storm, {folder}/stubs]
    directory: {root}
    stop_timeout: 2s
gateway: {{listen: "127.0.0.1:{port}", workers: 2, services: [weather.v1.CalmService, weather.v1.StormService], stop_timeout: 2s}}
"""


class Up:
    """A running `mesh up`; all its processes carry a mark in their environment."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.port = free_port()
        self.mark = f"{MARK}={uuid.uuid4()}"
        self._folder = folder
        file = folder / "up.yaml"
        file.write_text(MESH.format(folder=folder, root=ROOT, port=self.port))
        name, _, value = self.mark.partition("=")
        with open(folder / "output", "wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mesh", "up", str(file)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**ENVIRON, name: value},
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return (self._folder / "output").read_text()

    def survivors(self) -> dict[int, str]:
        """Return the processes that are there because of it, with their commands."""
        found = {}
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(entry.name)] = command.decode()
            except OSError:
                continue
        return found

    def addresses(self) -> set[int]:
        """Return the ports that it has chosen for its processes, as far as it got."""
        files = (self._folder / ".mesh" / "run").glob(f"{self.process.pid}-*.yaml")
        ports = re.findall(r"127\.0\.0\.1:(\d+)", "".join(file.read_text() for file in files))
        return {self.port, *map(int, ports)}


@pytest.fixture
def up(generated: pathlib.Path) -> Iterator[Up]:
    found = Up(generated)
    yield found
    if found.process.poll() is None:
        found.process.kill()
        found.process.wait()
    for process in found.survivors():
        os.kill(process, signal.SIGKILL)


def at_once(up: Up) -> None:
    """Python is still importing, or has just begun."""
    time.sleep(0.3)


def when_the_backends_start(up: Up) -> None:
    until(lambda: len(up.survivors()) >= 3)


def when_the_workers_start(up: Up) -> None:
    until(lambda: "routes:" in up.text)


def when_all_is_healthy(up: Up) -> None:
    until(lambda: "everything is healthy" in up.text)


def in_the_middle_of_the_stop(up: Up) -> None:
    when_all_is_healthy(up)
    up.process.send_signal(signal.SIGINT)
    until(lambda: "stopping" in up.text)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do; what is left of closed connections does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.mark.parametrize(
    "moment",
    [
        at_once,
        when_the_backends_start,
        when_the_workers_start,
        when_all_is_healthy,
        in_the_middle_of_the_stop,
    ],
)
def test_ctrl_c_leaves_nobody(up: Up, moment: Callable[[Up], None]) -> None:
    moment(up)
    ports = up.addresses()
    up.process.send_signal(signal.SIGINT)
    up.process.wait(20)
    assert up.survivors() == {}
    until(lambda: all(map(is_free, ports)), 5)


@pytest.mark.parametrize("moment", [when_the_workers_start, when_all_is_healthy])
def test_killing_it_leaves_nobody(up: Up, moment: Callable[[Up], None]) -> None:
    moment(up)
    ports = up.addresses()
    assert len(up.survivors()) >= 5, "itself, the guardian, two backends, the gateway"
    up.process.kill()
    up.process.wait(20)
    # A process that is being killed gives up its memory, and its environment with it, before its sockets.
    until(lambda: not up.survivors() and all(map(is_free, ports)), 5)
