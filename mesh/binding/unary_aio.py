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

from mesh.binding import drive_aio, hearing_aio
from mesh.binding.hearing import Ear, weakly
from mesh.binding.race_aio import Start
from mesh.binding.status import CANCELLED, STATUS, outcome_of, rpc_error
from mesh.call import ABANDONED, Attempt, Outcome
from mesh.engine import Flow


class StreamUnaryHandle(grpc.aio.StreamUnaryCall):  # type: ignore[type-arg]  # generic in the stubs only
    """What a caller of a stream-unary method holds."""

    def __init__(self, flow: Flow, start: Start, ear: Ear | None, read: Callable[[bytes], Any]) -> None:
        """`read` makes the message of a response's wire form."""
        self._start = start
        self._read = read
        self._ear = ear
        if ear is not None:
            ear.stop = weakly(self._cancel_wires)
        self._wire: Any = None
        self._started = asyncio.Event()
        self._wires: dict[int, Any] = {}
        self._task = asyncio.ensure_future(drive_aio.unary(flow, self._attempt, self._choose))

    async def _attempt(self, effect: Attempt) -> Outcome:
        ear = self._ear
        if ear is not None and ear.alarm is None:
            hearing_aio.watch(ear)
        if ear is not None and ear.verdict is not None:
            return ABANDONED  # of which the flow makes the verdict
        self._wire = self._wires[effect.number] = wire = await self._start(effect)
        self._started.set()
        if ear is not None and ear.verdict is not None:
            wire.cancel()  # its first request was refused on the way
            return ABANDONED
        try:
            return Outcome(0, value=await wire)
        except grpc.aio.AioRpcError as error:
            return outcome_of(error)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # The wire was cancelled under whoever waits, which must not look as if he had been. grpc.aio does that to a
            # call that its server ends while the last of its requests is written.
            return CANCELLED if ear is None or ear.verdict is None else ABANDONED

    def _cancel_wires(self) -> None:
        for wire in self._wires.values():
            wire.cancel()

    def _choose(self, number: int) -> None:
        self._wire = self._wires.get(number)

    async def ended(self) -> Outcome:
        """Wait for the end; whoever waits may be cancelled without ending the call."""
        try:
            return await asyncio.shield(self._task)
        except asyncio.CancelledError:
            if not self._task.cancelled():
                raise
            return CANCELLED

    def __await__(self) -> Generator[Any, None, Any]:
        outcome: Outcome = yield from self._task.__await__()
        if outcome.code:
            raise rpc_error(outcome)
        return self._read(outcome.value) if outcome.answered_by else outcome.value

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
        outcome = await self.ended()
        if outcome.rejected_by or outcome.answered_by or self._wire is None:
            return grpc.aio.Metadata(*outcome.trailing)
        metadata: grpc.aio.Metadata = await self._wire.trailing_metadata()
        return metadata

    async def code(self) -> grpc.StatusCode:
        return STATUS[(await self.ended()).code]

    async def details(self) -> str:
        return (await self.ended()).details

    async def debug_error_string(self) -> str:
        await self.ended()
        text: str = "" if self._wire is None else await self._wire.debug_error_string()
        return text

    async def wait_for_connection(self) -> None:
        await (await self._open_wire()).wait_for_connection()

    async def write(self, request: Any) -> None:
        wire = await self._open_wire()
        if self._ear is not None and self._ear.sent(request) is not None:
            self._cancel_wires()
            raise rpc_error(await self.ended())
        await wire.write(request)

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

    def __repr__(self) -> str:
        return f"<StreamUnaryHandle {'ended' if self._task.done() else 'running'}>"
