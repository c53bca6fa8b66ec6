"""Backends as processes that can be frozen, killed, and started again where they were."""

from __future__ import annotations

import pathlib
import signal
import socket
import subprocess
import sys

from tests.gateway.server.process import ENVIRON, ROOT


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


class BackendProcess:
    """One backend at one address, whatever happens to its process."""

    def __init__(self, name: str, folder: pathlib.Path) -> None:
        self.name = name
        self.port, self.metrics = free_port(), free_port()
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.weather.backend_process", self.name, str(self._folder / "stubs")],
            cwd=ROOT,
            env={
                **ENVIRON,
                "MESH_CONFIG": str(self._folder / "mesh.yaml"),
                "MESH_LISTEN": self.address,
                "MESH_METRICS_LISTEN": f"127.0.0.1:{self.metrics}",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == self.address

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a farewell; does nothing for one that is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait(10)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
