"""A response stream whose attempts the engine drives: what a caller holds instead of grpc's own call object.

The first attempt starts before the caller gets the object, as grpc's calls do; further ones start when a message is
asked for. The first message is the commit point: until then a failed attempt may be followed by another, after it the
messages are relayed as they come. Whatever happens to the object - read to the end, cancelled, dropped half-read or
never read - the flow is closed and every stage settles once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio

from mesh.binding import hearing_aio
from mesh.binding.hearing import Ear, weakly
from mesh.binding.race_aio import Start, StreamRacers
from mesh.binding.status import CANCELLED, STATUS, outcome_of, rpc_error
from mesh.call import COMMIT, OPEN, Attempt, Choose, Effect, Outcome, Race, Sleep
from mesh.engine import Flow

DoneCallback = Callable[[Any], None]


class ResponseStream:
    """Drives one flow whose attempts answer with streams of messages."""

    def __init__(self, flow: Flow, start: Start, ear: Ear | None = None) -> None:
        self._flow = flow
        self._start = start
        self._ear = ear
        if ear is not None:
            ear.stop = weakly(self._conclude)
        self._wire: Any = None
        self._racers: StreamRacers | None = None
        self._effect: Effect | None = None
        self._first: Any = None
        self._opening: asyncio.Task[None] | None = None
        self._outcome: Outcome | None = None
        self._ended = asyncio.Event()
        self._callbacks: list[DoneCallback] = []
        self._messages: AsyncIterator[Any] | None = None
        self._relaying: AsyncIterator[Any] | None = None

    async def begin(self) -> None:
        """Admit the call and start its first attempt; a rejection ends the stream at once."""
        begun = False
        try:
            self._advance(None)
            if self._ear is not None:
                hearing_aio.watch(self._ear)
            await self._launch()
            begun = True
        finally:
            if not begun:
                self._close(CANCELLED)

    # What the engine sees

    def _advance(self, answer: Outcome | tuple[int, Outcome] | None) -> None:
        try:
            self._effect = self._flow.send(answer)
        except StopIteration as stop:
            self._effect = None
            self._end(stop.value)

    async def _launch(self) -> None:
        effect = self._effect
        if type(effect) is Attempt:
            self._wire = await self._start(effect)
            if self._outcome is not None:
                self._wire.cancel()  # its first request was refused on the way
        elif type(effect) is Race and effect.start is not None:
            if self._racers is None:
                self._racers = StreamRacers(self._start)
            self._racers.launch(effect.start)

    async def _open(self) -> None:
        """Drive attempts until one has a first message, or the call is over."""
        opened = False
        try:
            while self._outcome is None and self._effect is not COMMIT:
                try:
                    answer = await self._perform(self._effect)
                except asyncio.CancelledError:
                    if self._ear is None or not hearing_aio.is_judged(self._ear):
                        raise
                    continue
                if self._outcome is None:
                    self._advance(answer)
                    await self._launch()
            opened = True
        finally:
            if not opened:
                self._close(CANCELLED)

    async def _perform(self, effect: Effect | None) -> Outcome | tuple[int, Outcome] | None:
        if type(effect) is Sleep:
            with contextlib.suppress(TimeoutError):
                # Whoever cancels the call meanwhile need not be the task that waits here.
                await asyncio.wait_for(self._ended.wait(), effect.seconds)
            return None
        if self._racers is not None:
            if type(effect) is Race:
                return await self._racers.wait(effect.wait)
            if type(effect) is Choose:
                self._wire, self._relaying, self._first = self._racers.choose(effect.number)
                return None
        return await self._await_first()

    async def _await_first(self) -> Outcome:
        messages = self._relaying = aiter(self._wire)
        try:
            self._first = await anext(messages)
        except StopAsyncIteration:
            return Outcome(0)
        except grpc.aio.AioRpcError as error:
            return outcome_of(error)
        return OPEN

    async def opened(self) -> None:
        """Wait until the first message has come or the call is over, whoever asked first."""
        if self._opening is None:
            if self._outcome is not None or self._effect is COMMIT:
                return
            self._opening = asyncio.ensure_future(self._open())
        await asyncio.shield(self._opening)

    async def _relay(self) -> AsyncIterator[Any]:
        """Yield the messages; this is where the caller's waiting and cancelling arrive."""
        if self._opening is None:
            await self._open()
        else:
            await self.opened()
        if self._outcome is None:
            outcome = CANCELLED
            try:
                if self._ear is None:
                    yield self._first
                    self._first = None
                    async for message in self._relaying:  # type: ignore[union-attr]  # set by _await_first
                        yield message
                else:
                    async for message in hearing_aio.responses(self._ear, self._first, self._relaying):
                        yield message
                outcome = Outcome(0, committed=True)
            except grpc.aio.AioRpcError as error:
                outcome = outcome_of(error)._replace(committed=True)
            finally:
                if outcome is CANCELLED:
                    self._close(outcome)
            if self._outcome is None:
                self._advance(outcome)
        ended = self._outcome
        if ended is CANCELLED:
            raise asyncio.CancelledError
        if ended is not None and ended.code:
            raise rpc_error(ended)

    # How it ends

    def _end(self, outcome: Outcome) -> None:
        if self._outcome is None:
            self._outcome = outcome
            self._ended.set()
            for callback in self._callbacks:
                callback(self)
            self._callbacks.clear()

    def _close(self, outcome: Outcome) -> bool:
        """End the call from this side: settle the stages as abandoned and cancel the wire."""
        if self._outcome is not None:
            return False
        self._end(outcome)
        self._flow.close()
        self._cancel_wires()
        return True

    def _conclude(self) -> None:
        """End the call with what its ear has judged: of any answer the flow makes that."""
        if self._outcome is None:
            while self._outcome is None:  # a race is told first whom to choose
                self._advance(None)
            self._cancel_wires()

    def _cancel_wires(self) -> None:
        if self._racers is not None:
            self._racers.cancel()
        if self._wire is not None:
            self._wire.cancel()

    @property
    def outcome(self) -> Outcome | None:
        """How the call ended; None while it has not."""
        return self._outcome

    def __aiter__(self) -> AsyncIterator[Any]:
        if self._messages is None:
            self._messages = self._relay()
        return self._messages

    def cancel(self) -> bool:
        if self._opening is not None:
            self._opening.cancel()
        return self._close(CANCELLED)

    def __del__(self) -> None:
        self.cancel()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'running' if self._outcome is None else self._outcome}>"


class StreamHandle(ResponseStream):
    """A ResponseStream with the surface of grpc.aio's streaming calls."""

    async def read(self) -> Any:
        try:
            return await anext(aiter(self))
        except StopAsyncIteration:
            return grpc.aio.EOF

    def cancelled(self) -> bool:
        return self._outcome is not None and self._outcome.code == 1

    def done(self) -> bool:
        return self._outcome is not None

    def add_done_callback(self, callback: DoneCallback) -> None:
        if self._outcome is not None:
            callback(self)
        else:
            self._callbacks.append(callback)

    def time_remaining(self) -> float | None:
        remaining: float | None = None if self._wire is None else self._wire.time_remaining()
        return remaining

    async def initial_metadata(self) -> grpc.aio.Metadata:
        if self._racers is not None:
            await self.opened()  # whose it will be, is not known before
        if self._wire is None:
            return grpc.aio.Metadata()
        metadata: grpc.aio.Metadata = await self._wire.initial_metadata()
        return metadata

    async def _final(self) -> Outcome:
        """Wait for the end without reading: a caller may ask for the code first, or only."""
        await self.opened()
        if self._outcome is None:
            wire, ended = asyncio.ensure_future(self._wire.code()), asyncio.ensure_future(self._ended.wait())
            try:
                await asyncio.wait({wire, ended}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                wire.cancel()
                ended.cancel()
        if self._outcome is not None:
            return self._outcome
        trailing = tuple(await self._wire.trailing_metadata() or ())
        return Outcome((await self._wire.code()).value[0], await self._wire.details(), trailing=trailing)

    async def code(self) -> grpc.StatusCode:
        return STATUS[(await self._final()).code]

    async def details(self) -> str:
        return (await self._final()).details

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        final = await self._final()
        if final.trailing or self._wire is None or final.rejected_by or final.answered_by:
            return grpc.aio.Metadata(*final.trailing)
        metadata: grpc.aio.Metadata = await self._wire.trailing_metadata()
        return metadata

    async def debug_error_string(self) -> str:
        await self._final()
        text: str = "" if self._wire is None else await self._wire.debug_error_string()
        return text

    async def wait_for_connection(self) -> None:
        if self._wire is not None:
            await self._wire.wait_for_connection()


class UnaryStreamHandle(StreamHandle, grpc.aio.UnaryStreamCall):  # type: ignore[type-arg]  # generic in the stubs only
    """What a caller of a unary-stream method holds."""


class StreamStreamHandle(StreamHandle, grpc.aio.StreamStreamCall):  # type: ignore[type-arg]  # generic in the stubs only
    """What a caller of a stream-stream method holds; grpc itself feeds written requests to the wire."""

    async def write(self, request: Any) -> None:
        if self._ear is not None and self._ear.sent(request) is not None:
            self._conclude()
            raise rpc_error(await self._final())
        await self._wire.write(request)

    async def done_writing(self) -> None:
        await self._wire.done_writing()

    @property
    def _done_writing_flag(self) -> bool:
        # grpc.aio's intercepted call reads this private name of whatever an interceptor returns (1.85).
        return bool(getattr(self._wire, "_done_writing_flag", False))
