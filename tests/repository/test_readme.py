"""Every command and every file in README.md is run, in the order a reader would."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PORTS = ("50051", "8080", "8090")
SHORTER = {"make demo\n": "make demo ONCE=1\n", "make test\n": "make test ARGS=tests/mechanism\n"}
"""Commands that would not end, or would run this test again."""
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("curl") is None, reason="the README's commands use curl, which is not here"
    ),
]


class Block(NamedTuple):
    """A fenced block: its language, the word after it, its text.

    The word is a file name for a file, and for commands `checkout` (run in the repository) or `background` (left running).
    """

    language: str
    word: str
    text: str


def blocks() -> list[Block]:
    return [Block(*found) for found in BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))]


def free_port() -> str:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return str(listening.getsockname()[1])


class Reader:
    """Does what the README says: writes its files, runs its commands, looks at what they print."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {port: free_port() for port in PORTS}
        self.running: list[subprocess.Popen[str]] = []
        self.output = ""
        # The word of the caller's make would reach the make of the README.
        inherited = {key: value for key, value in os.environ.items() if key not in {"MAKEFLAGS", "MAKELEVEL"}}
        self.environment = {
            **inherited,
            "PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}",
            # Where a service listens that does not say; `mesh up` gives its services places of their own.
            "MESH_LISTEN": f"127.0.0.1:{self.ports['50051']}",
        }

    def follow(self, block: Block) -> None:
        if block.language == "sh":
            self.command(block)
        elif block.language in {"text", "json"}:
            self.look(block)
        elif block.word:
            file = self.folder / block.word
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self.elsewhere(block.text), encoding="utf-8")

    def command(self, block: Block) -> None:
        started = subprocess.Popen(
            ["bash", "-euc", SHORTER.get(block.text) or self.elsewhere(block.text)],
            cwd=ROOT if block.word == "checkout" else self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=None if block.word == "background" else subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.running.append(started)
        if block.word != "background":
            self.output, _ = started.communicate(timeout=200)

            assert 0 == started.returncode, f"{block.text}\n{self.output}"

    def look(self, block: Block) -> None:
        if block.language == "json":
            assert json.loads(block.text) == json.loads(self.output)
        else:
            assert block.text == self.output

    def elsewhere(self, text: str) -> str:
        """Take free ports in place of the README's."""
        for port, free in self.ports.items():
            text = text.replace(f":{port}", f":{free}")
        return text

    def leave(self) -> None:
        """Press Ctrl-C everywhere, and see that everything stops."""
        for started in reversed(self.running):
            if started.poll() is None:
                os.killpg(started.pid, signal.SIGINT)
                started.wait(timeout=30)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    try:
        yield reader
    finally:
        for started in reader.running:
            if started.poll() is None:
                os.killpg(started.pid, signal.SIGKILL)
                started.wait()


@pytest.mark.timeout(600)
def test_the_readme_works_from_top_to_bottom(reader: Reader) -> None:
    for block in blocks():
        reader.follow(block)
    reader.leave()


def test_every_block_is_followed() -> None:
    """Only drawings have no language; everything else is written, run or compared."""
    opened = re.findall(r"^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    drawings = 1

    assert 2 * (len(blocks()) + drawings) == len(opened)
    assert {"sh", "text", "json", "proto", "python", "yaml"} >= {block.language for block in blocks()}
    assert [] == [
        block for block in blocks() if block.language in {"proto", "python", "yaml"} and not block.word
    ]
