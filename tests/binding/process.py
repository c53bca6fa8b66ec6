"""Instances of the test service as processes that can be signalled."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Process:
    """One running instance."""

    def __init__(self, name: str, child: asyncio.subprocess.Process, address: str) -> None:
        self.name, self.address = name, address
        self._child = child

    @classmethod
    async def start(cls, name: str, listen: str = "127.0.0.1:0", *, lame_duck: float = 0.5) -> Process:
        """Start one and wait until it serves."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MESH_")}
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.binding.instance",
            name,
            listen,
            str(lame_duck),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env=environment,
        )
        assert child.stdout is not None
        address = (await asyncio.wait_for(child.stdout.readline(), 30)).decode().strip()
        assert address, f"{name} did not start"
        return cls(name, child, address)

    def signal(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    async def ended(self, seconds: float = 30.0) -> tuple[int, str]:
        """Wait for its end; return the exit code and what it said last."""
        out, _ = await asyncio.wait_for(self._child.communicate(), seconds)
        assert self._child.returncode is not None
        return self._child.returncode, out.decode().strip()

    async def kill(self) -> None:
        if self._child.returncode is None:
            self._child.kill()
            await self._child.wait()
