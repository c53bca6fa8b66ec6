"""How copies of requests are sent under asyncio: after what they are copies of, waited for by nobody but this.

A copy is serialized and started two turns of the event loop after its request was heard. grpc.aio starts a call in a task,
which runs in the next turn: by then the request itself is on the wire.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import grpc.aio

from mesh.stage.copier import ANSWERED, FAILED, Copy

_log = logging.getLogger("mesh")


class Copier:
    """Sends the copies of one channel's calls, on channels of its own; they end when it is closed."""

    def __init__(self, open_target: Callable[[str], grpc.aio.Channel]) -> None:
        self._open = open_target
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._invoke: dict[tuple[str, str], Any] = {}
        self._running: set[asyncio.Task[bool]] = set()
        self._reported: set[tuple[str, str]] = set()
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
            call = self._method(copy)(_wire_form(copy.message), timeout=copy.timeout, metadata=copy.metadata)
            if copy.arity.response_streams:
                async for _ in call:
                    pass
            else:
                await call
        except grpc.aio.AioRpcError:
            return False  # counted: that is all anybody hears of it
        except Exception as error:  # noqa: BLE001 - a target that cannot be opened must not reach the event loop's handler
            key = copy.target, copy.method
            if key not in self._reported:
                self._reported.add(key)
                _log.warning("%s cannot be copied to %s: %s", copy.method, copy.target, error)
            return False
        return True

    def _method(self, copy: Copy) -> Any:
        key = copy.target, copy.method
        invoke = self._invoke.get(key)
        if invoke is None:
            channel = self._channels.get(copy.target)
            if channel is None:
                channel = self._channels[copy.target] = self._open(copy.target)
            invoke = self._invoke[key] = getattr(channel, copy.arity.value)(copy.method)
        return invoke

    async def close(self) -> None:
        """Cancel the copies in flight and close their channels."""
        self._closed = True
        running = tuple(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        for channel in self._channels.values():
            await channel.close()

    def __repr__(self) -> str:
        return f"<Copier {len(self._running)} in flight to {sorted(self._channels)}>"


def _wire_form(message: Any) -> bytes:
    """Return a request as bytes; raise TypeError for one that only its own serializer understands."""
    if isinstance(message, bytes):
        return message
    serialize = getattr(message, "SerializeToString", None)
    if serialize is None:
        raise TypeError(f"{type(message).__name__} is neither bytes nor a protobuf message")
    return bytes(serialize())
