"""Gateways as processes, and raw HTTP to talk to them."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

ROOT = pathlib.Path(__file__).parents[3]
ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


class GatewayProcess:
    """One `python -m ...` that serves, with what it prints."""

    def __init__(self, *arguments: str) -> None:
        self.lines: list[str] = []
        """Standard error."""
        self.log: list[dict[str, Any]] = []
        """Standard output: the access log."""
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=ENVIRON,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stderr, self.lines.append), daemon=True),
            threading.Thread(
                target=self._read,
                args=(self.process.stdout, lambda line: self.log.append(json.loads(line))),
                daemon=True,
            ),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, take: Any) -> None:
        for line in stream:
            with self._changed:
                take(line.rstrip("\n"))
                self._changed.notify_all()

    def wait_for(self, found: Any, seconds: float = 20.0) -> Any:
        """Wait until `found()` is true of what was printed; return it."""
        with self._changed:
            assert self._changed.wait_for(lambda: found() or self.process.poll() is not None, seconds), (
                self.lines
            )
        assert found(), self.lines
        return found()

    @property
    def port(self) -> int:
        """Wait until it is ready; return where."""

        def ready() -> Any:
            return next(
                (m for line in self.lines if (m := re.search(r"ready on https?://127.0.0.1:(\d+)", line))),
                None,
            )

        return int(self.wait_for(ready)[1])

    def place(self, name: str) -> str:
        """Wait until it is ready; return where something besides HTTP is: "gRPC", "admin" or "metrics"."""
        assert self.port
        found = next(m for line in self.lines if (m := re.search(rf", {name}: ([\d.]+:\d+)", line)))
        return found[1]

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def end(self, seconds: float = 20.0) -> int:
        """Wait for its end; return the exit code."""
        code = self.process.wait(seconds)
        for reader in self._readers:
            reader.join(seconds)
        return code

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    @property
    def workers(self) -> list[int]:
        """The process ids of its workers."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                command = (entry / "cmdline").read_bytes()
            except (OSError, IndexError):
                continue
            if parent == self.process.pid and b"spawn_main" in command:
                found.append(int(entry.name))
        return sorted(found)


def alive(process: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def until(condition: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.02)


class Connection:
    """A socket, and what came over it."""

    def __init__(self, port: int, sent: bytes = b"", seconds: float = 10.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        if sent:
            self.socket.sendall(sent)

    def read_all(self) -> bytes:
        """Read until the server closes."""
        received = b""
        try:
            while piece := self.socket.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
        self.socket.close()
        return received

    def read_answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one answer with a length."""
        received = b""
        while b"\r\n\r\n" not in received:
            piece = self.socket.recv(65536)
            assert piece, received
            received += piece
        status, headers, rest = parse(received)
        while len(rest) < int(headers["content-length"]):
            rest += self.socket.recv(65536)
        return status, headers, rest


def parse(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split(" ")[1]), headers, body


def get(port: int, target: str) -> tuple[int, dict[str, str], bytes]:
    connection = Connection(port, f"GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    return parse(connection.read_all())
