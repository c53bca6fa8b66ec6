"""A stream-unary call whose attempts run by themselves: what a caller holds who writes request after request.

grpc.aio lets nobody write before the interceptor has returned, so the interceptor cannot wait for the response; the
flow runs in a task of its own instead, as grpc's own call does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

import grpc
import grpc.aio

from mesh.binding import drive_aio
from mesh.binding.status import STATUS, outcome_of, rpc_error
from mesh.binding.stream_aio import Start
from mesh.call import Attempt, Outcome
from mesh.engine import Flow


class StreamUnaryHandle(grpc.aio.StreamUnaryCall):  # type: ignore[type-arg]  # generic in the stubs only
    """What a caller of a stream-unary method holds."""

    def __init__(self, flow: Flow, start: Start) -> None:
        self._start = start
        self._wire: Any = None
        self._started = asyncio.Event()
        self._task = asyncio.ensure_future(drive_aio.unary(flow, self._attempt))

    async def _attempt(self, effect: Attempt) -> Outcome:
        self._wire = wire = await self._start(effect)
        self._started.set()
        try:
            return Outcome(0, value=await wire)
        except grpc.aio.AioRpcError as error:
            return outcome_of(error)

    async def _outcome(self) -> Outcome:
        """Wait for the end; whoever waits may be cancelled without ending the call."""
        try:
            return await asyncio.shield(self._task)
        except asyncio.CancelledError:
            if not self._task.cancelled():
                raise
            return Outcome(1, "Locally cancelled by application!")

    def __await__(self) -> Generator[Any, None, Any]:
        outcome: Outcome = yield from self._task.__await__()
        if outcome.code:
            raise rpc_error(outcome)
        return outcome.value

    def cancel(self) -> bool:
        return self._task.cancel()

    def cancelled(self) -> bool:
        if not self._task.done():
            return False
        return self._task.cancelled() or self._task.result().code == 1

    def done(self) -> bool:
        return self._task.done()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._task.add_done_callback(lambda _: callback(self))

    def time_remaining(self) -> float | None:
        remaining: float | None = None if self._wire is None else self._wire.time_remaining()
        return remaining

    async def _start_or_end(self) -> None:
        """Wait until there is a wire, or there will be none: the call was rejected or cancelled."""
        started = asyncio.ensure_future(self._started.wait())
        try:
            await asyncio.wait({started, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            started.cancel()

    async def initial_metadata(self) -> grpc.aio.Metadata:
        await self._start_or_end()
        metadata: grpc.aio.Metadata = grpc.aio.Metadata()
        if self._wire is not None:
            metadata = await self._wire.initial_metadata()
        return metadata

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        outcome = await self._outcome()
        if outcome.rejected_by or self._wire is None:
            return grpc.aio.Metadata(*outcome.trailing)
        metadata: grpc.aio.Metadata = await self._wire.trailing_metadata()
        return metadata

    async def code(self) -> grpc.StatusCode:
        return STATUS[(await self._outcome()).code]

    async def details(self) -> str:
        return (await self._outcome()).details

    async def debug_error_string(self) -> str:
        await self._outcome()
        text: str = "" if self._wire is None else await self._wire.debug_error_string()
        return text

    async def wait_for_connection(self) -> None:
        await (await self._open_wire()).wait_for_connection()

    async def write(self, request: Any) -> None:
        await (await self._open_wire()).write(request)

    async def done_writing(self) -> None:
        await (await self._open_wire()).done_writing()

    async def _open_wire(self) -> Any:
        await self._start_or_end()
        if self._wire is None:
            raise asyncio.InvalidStateError("the call ended before it went out")
        return self._wire

    @property
    def _done_writing_flag(self) -> bool:
        # grpc.aio's intercepted call reads this private name of whatever an interceptor returns (1.85).
        return bool(getattr(self._wire, "_done_writing_flag", False))

    def __del__(self) -> None:
        # Interpreter shutdown or a failed constructor may leave no task.
        task = getattr(self, "_task", None)
        if task is not None and not task.done() and not task.get_loop().is_closed():
            task.cancel()
