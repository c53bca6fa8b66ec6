"""The test backend as a process: prints its address, serves until its standard input ends."""

from __future__ import annotations

import asyncio
import pathlib
import sys

from tests.gateway.protocol.backend import Backend


async def main() -> None:
    backend = Backend(pathlib.Path(sys.argv[1]))
    await backend.start()
    sys.stdout.write(f"{backend.address}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await backend.stop()


asyncio.run(main())
