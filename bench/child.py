"""How a measured process is run and spoken to: a JSON object a line, orders on stdin, answers on stdout.

All processes of the benchmark have the same event loop (uvloop) and the same settings of the garbage collector, and end
when their stdin does, so that none outlives the benchmark however that ends.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, BinaryIO, Final

import orjson
import uvloop

Orders = Mapping[str, Callable[..., Awaitable[Any]]]

_LONGEST_ORDER: Final = 1 << 20


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a child's main to the end of its orders."""
    uvloop.run(main)


async def obey(ready: Any, orders: Orders) -> None:
    """Say `ready`, then answer orders until stdin ends; then end the process.

    What the process prints from here on (an access log) goes to /dev/null: written, but read by nobody.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    reader = asyncio.StreamReader(limit=_LONGEST_ORDER)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    _say(answers, ready)
    while line := await reader.readline():
        order = orjson.loads(line)
        _say(answers, await orders[order.pop("do")](**order))
    # Nothing is left to lose, and clients and servers torn down in any order would only complain.
    os._exit(0)


def _say(answers: BinaryIO, value: Any) -> None:
    line = orjson.dumps(value) + b"\n"
    while line:  # a pipe may take less than the whole
        line = line[answers.write(line) :]


async def settle() -> None:
    """Do after warm-up what a long-lived server does: what is alive now stays alive, and is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 1_000)


async def mark() -> float:
    """Return the CPU seconds, user and system, that all threads of this process have used."""
    return time.process_time()
