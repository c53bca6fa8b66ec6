"""How copies of requests are sent under asyncio: after what they are copies of, waited for by nobody but this.

A copy is serialized and started two turns of the event loop after its request was heard. grpc.aio starts a call in a task,
which runs in the next turn: by then the request itself is on the wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc.aio

from mesh.binding.mirror import Mirrors, wire_form
from mesh.stage.copier import ANSWERED, FAILED, Copy


class Copier:
    """Sends the copies of one channel's calls, on channels of its own; they end when it is closed."""

    def __init__(self, open_target: Callable[[str], grpc.aio.Channel]) -> None:
        self._mirrors = Mirrors(open_target)
        self._running: set[asyncio.Task[bool]] = set()
        self._closed = False

    def send(self, copy: Copy) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._start, copy)

    def _start(self, copy: Copy) -> None:
        if self._closed:
            copy.ended(FAILED)
            return
        task = asyncio.get_running_loop().create_task(self._run(copy))
        self._running.add(task)

        def ended(task: asyncio.Task[bool]) -> None:
            self._running.discard(task)
            copy.ended(ANSWERED if not task.cancelled() and task.result() else FAILED)

        task.add_done_callback(ended)

    async def _run(self, copy: Copy) -> bool:
        """Return whether the copy was answered."""
        try:
            method = self._mirrors.method(copy)
            call = method(wire_form(copy.message), timeout=copy.timeout, metadata=copy.metadata)
            if copy.arity.response_streams:
                async for _ in call:
                    pass
            else:
                await call
        except grpc.aio.AioRpcError:
            return False  # counted: that is all anybody hears of it
        except Exception as error:  # noqa: BLE001 - a target that cannot be opened must not reach the event loop's handler
            self._mirrors.report(copy, error)
            return False
        return True

    async def close(self) -> None:
        """Cancel the copies in flight and close their channels."""
        self._closed = True
        running = tuple(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        for channel in self._mirrors.channels.values():
            await channel.close()

    def __repr__(self) -> str:
        return f"<Copier {len(self._running)} in flight to {self._mirrors!r}>"
