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


def run(main: Coroutine[Any, Any, None], *, measured: bool = False) -> None:
    """Run a child's main to the end of its orders."""
    _pin(measured=measured)
    uvloop.run(main)


def _pin(*, measured: bool) -> None:
    """Give the contender one core, and the load and the backends the others, where there are two or more.

    A contender's threads (grpc's poller, the HTTP server's) would otherwise hand the GIL from core to core as often as the
    machine's other work lets them, and CPU a call would tell how busy the machine is.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    *others, last = sorted(os.sched_getaffinity(0))
    if others:
        os.sched_setaffinity(0, {last} if measured else set(others))


async def obey(ready: Any, orders: Orders, *, end: Callable[[], None] | None = None) -> None:
    """Say `ready`, then answer orders until stdin ends; then call `end` and end the process.

    What the process prints from here on (an access log) goes to /dev/null: written, but read by nobody.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    reader = asyncio.StreamReader(limit=_LONGEST_ORDER)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    _say(answers, {"answer": ready})
    while line := await reader.readline():
        order = orjson.loads(line)
        try:
            answer = {"answer": await orders[order.pop("do")](**order)}
        except Exception as error:  # noqa: BLE001 - whatever went wrong is told to whoever ordered it
            answer = {"error": _describe(error)}
        _say(answers, answer)
    if end is not None:
        end()
    # Nothing is left to lose, and clients and servers torn down in any order would only complain.
    os._exit(0)


def _say(answers: BinaryIO, value: Any) -> None:
    line = orjson.dumps(value) + b"\n"
    while line:  # a pipe may take less than the whole
        line = line[answers.write(line) :]


def _describe(error: Exception) -> str:
    """Return the first cause: of 32 calls in flight that fail together, one is enough."""
    cause: BaseException = error
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    return f"{type(cause).__name__}: {cause}"


async def settle() -> None:
    """Do after warm-up what a long-lived server does: what is alive now stays alive, and is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 1_000)


async def mark() -> float:
    """Return the CPU seconds, user and system, that all threads of this process have used."""
    return time.process_time()
