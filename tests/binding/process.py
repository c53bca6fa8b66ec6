"""Instances of the test service as processes that can be signalled."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

ROOT = Path(__file__).parents[2]


def free_address() -> str:
    """Return an address nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


class Process:
    """One running instance."""

    def __init__(self, name: str, address: str, child: asyncio.subprocess.Process) -> None:
        self.name, self.address = name, address
        self._child = child

    @classmethod
    async def start(cls, name: str, address: str = "", *, lame_duck: float = 0.5) -> Process:
        """Start one and wait until it serves."""
        address = address or free_address()
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MESH_")}
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.binding.instance", name, address, str(lame_duck)),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env=environment,
        )
        async with grpc.aio.insecure_channel(address) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check
            await check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=30)
        return cls(name, address, child)

    def signal(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    async def ended(self, seconds: float = 30.0) -> tuple[int, str]:
        """Wait for its end; return the exit code and what it said last."""
        out, _ = await asyncio.wait_for(self._child.communicate(), seconds)
        assert self._child.returncode is not None
        return self._child.returncode, out.decode().strip()

    async def kill(self) -> None:
        """End it, whatever it does."""
        if self._child.returncode is None:
            self._child.kill()
            await self._child.communicate()
