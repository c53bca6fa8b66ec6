"""A child process as its parent sees it: give an order, get the answer; ended by closing its stdin."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any, Final

import orjson

from bench import stubs

_START: Final = 30.0
_END: Final = 5.0
# A window's latencies come back in one line.
_LONGEST_ANSWER: Final = 1 << 26


class ChildError(Exception):
    """A child failed, ended, or did not answer; what else it had to say is on standard error."""


class Child:
    """One process."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.said: Any = None
        """What it said when it was ready: its address, or its addresses."""
        self._process = process

    async def do(self, order: str, *, patience: float = _START, **arguments: Any) -> Any:
        """Give an order and return the answer; raise ChildError when there is none within `patience` seconds."""
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - it was asked for
        stdin.write(orjson.dumps({"do": order, **arguments}) + b"\n")
        return await self.hear(patience)

    async def hear(self, patience: float) -> Any:
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 - it was asked for
        try:
            async with asyncio.timeout(patience):
                line = await stdout.readline()
        except TimeoutError:
            raise ChildError(f"{self.name}: no answer within {patience:g} s") from None
        if not line:
            raise ChildError(f"{self.name}: ended with exit code {await self._process.wait()}")
        heard = orjson.loads(line)
        if "error" in heard:
            raise ChildError(f"{self.name}: {heard['error']}")
        return heard["answer"]

    async def end(self) -> None:
        """End it, by the way it agreed to if it still listens."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_END):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def __repr__(self) -> str:
        return f"<Child {self.name} {self._process.pid}>"


async def start(name: str, module: str, *arguments: str) -> Child:
    """Start `python -m module` and wait until it is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=stubs.environment(), cwd=stubs.ROOT,
        limit=_LONGEST_ANSWER,
    )  # fmt: skip
    child = Child(name, process)
    try:
        child.said = await child.hear(_START)
    except BaseException:
        await child.end()
        raise
    return child
