"""A unary-unary call whose attempts follow one another by themselves: what a caller holds instead of grpc's call.

A call runs from when it is made, awaited or not, as grpc's own do: one that is dropped goes on, and settles when it has
ended. The flow is not driven by whoever awaits but by the wire's own end, which grpc tells its done callbacks, so a call
that is awaited late, twice or never settles on time, and no task is needed beside grpc's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Final

import grpc
import grpc.aio

from mesh.binding import race_aio
from mesh.binding.destination import Outlet
from mesh.binding.metadata import sent
from mesh.binding.metadata_aio import as_sent
from mesh.binding.status import CANCELLED, STATUS, at_once, outcome_of, rpc_error
from mesh.call import Attempt, Call, Outcome, Race, Sleep
from mesh.engine import Chain, Flow

_OK: Final = Outcome(0)
"""The answer itself stays in grpc's call, so one outcome does for all."""


class UnaryUnaryHandle(grpc.aio.UnaryUnaryCall):  # type: ignore[type-arg]  # generic in the stubs only
    """What a caller of a unary-unary method holds."""

    def __init__(
        self,
        outlet: Outlet,
        chain: Chain,
        call: Call,
        flow: Flow,
        request: Any,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,  # noqa: FBT001 - grpc's own three-valued option, handed on
        compression: grpc.Compression | None,
    ) -> None:
        """Admit the call and start its first attempt."""
        self._outlet = outlet
        self._chain = chain
        self._call = call
        self._flow = flow
        self._request = request
        self._options = credentials, wait_for_ready, compression
        self._wire: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._racing: asyncio.Future[Outcome] | None = None
        self._listening: asyncio.Future[None] | None = None
        self._watching: asyncio.Future[None] | None = None
        self._outcome: Outcome | None = None
        self._callbacks: list[Callable[[Any], None]] | None = None
        self._advance(None)

    # What the engine sees

    def _advance(self, answer: Outcome | None) -> None:
        try:
            effect = self._flow.send(answer)
        except StopIteration as stop:
            self._end(stop.value)
            return
        if type(effect) is Attempt:
            try:
                wire = self._wire = self._start(effect)
            except BaseException:
                self._flow.close()
                raise
            wire.add_done_callback(self._wire_ended)
        elif type(effect) is Race:
            self._race(effect)
        elif type(effect) is Sleep:
            self._outlet.destination.waiting.add(self)
            self._timer = asyncio.get_running_loop().call_later(effect.seconds, self._wake)

    def _start(self, effect: Attempt) -> Any:
        call = self._call
        credentials, wait_for_ready, compression = self._options
        return (self._outlet.to(effect.method) if effect.method else self._outlet.invoke)(
            self._request,
            timeout=effect.timeout,
            metadata=as_sent(sent(call, effect) if effect.number > 1 else (*call.metadata, *call.outgoing)),
            credentials=credentials,
            wait_for_ready=wait_for_ready,
            compression=compression,
        )

    def _wire_ended(self, wire: Any) -> None:
        """Learn how an attempt ended: grpc has its status, if not yet the message made of its bytes."""
        if self._outcome is not None:
            return
        code = at_once(wire.code())
        if code is grpc.StatusCode.OK:
            if self._chain.listens:
                self._listening = asyncio.ensure_future(self._listen(wire))
            else:
                self._go_on(_OK)
            return
        outcome = _failure(wire, code)
        if outcome is None:
            self._give_up(CANCELLED)
        else:
            self._go_on(outcome)

    async def _listen(self, wire: Any) -> None:
        """Go on once there is a message to be heard, not only its bytes."""
        try:
            response = await wire
        except Exception as error:  # noqa: BLE001 - its deserializer may raise anything; whoever awaits gets it
            self._fail(error)
            return
        if self._outcome is None:
            self._go_on(Outcome(0, value=response))

    async def _watch(self, wire: Any) -> None:
        """Notice if an attempt cannot be sent at all: grpc tells that to nobody but those who await it."""
        try:
            await wire
        except grpc.aio.AioRpcError:
            pass  # the flow has been told
        except Exception as error:  # noqa: BLE001 - a serializer may raise anything, and metadata be of any kind
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """End the call for an error of grpc's own or of the application's, which is no status."""
        if self._outcome is None:
            self._give_up(Outcome(13, str(error), error=error))

    def _race(self, effect: Race) -> None:
        """Leave a hedged call's flow to a task: its attempts need one each anyway."""
        wires: dict[int, Any] = {}

        async def attempt(effect: Attempt) -> Outcome:
            wire = wires[effect.number] = self._start(effect)
            try:
                return Outcome(0, value=await wire)
            except grpc.aio.AioRpcError as error:
                return outcome_of(error)

        def choose(number: int) -> None:
            self._wire = wires.get(number)

        self._racing = asyncio.ensure_future(race_aio.unary(self._flow, effect, attempt, choose, self._pause))
        self._racing.add_done_callback(self._raced)

    async def _pause(self, seconds: float) -> None:
        waiting = self._outlet.destination.waiting
        waiting.add(self)
        try:
            await asyncio.sleep(seconds)
        finally:
            waiting.discard(self)

    def _raced(self, racing: asyncio.Future[Outcome]) -> None:
        if self._outcome is not None:
            return
        if racing.cancelled():
            self._give_up(CANCELLED)
        elif error := racing.exception():
            self._give_up(Outcome(13, str(error), error=error))
        else:
            self._end(racing.result())

    def _wake(self) -> None:
        self._timer = None
        self._outlet.destination.waiting.discard(self)
        if self._outcome is None:
            before = self._wire
            self._go_on(None)
            # Whoever awaits the call awaits the attempt that was there first, and hears of it himself.
            if self._wire is not before and self._outcome is None:
                self._watching = asyncio.ensure_future(self._watch(self._wire))

    def _go_on(self, answer: Outcome | None) -> None:
        """Advance where nobody is there to raise to."""
        try:
            self._advance(answer)
        except Exception as error:  # noqa: BLE001 - a retry that raises, a channel closed meanwhile: whoever awaits gets it
            self._fail(error)

    # How it ends

    def _end(self, outcome: Outcome) -> None:
        self._outcome = outcome
        callbacks, self._callbacks = self._callbacks, None
        if callbacks is not None:
            for callback in callbacks:
                callback(self)

    def _give_up(self, outcome: Outcome) -> None:
        """End the call from this side: settle the stages as abandoned, stop what runs."""
        self._outcome = outcome
        self._flow.close()
        if self._timer is not None:
            self._timer.cancel()
            self._outlet.destination.waiting.discard(self)
        for task in (self._racing, self._listening, self._watching):
            if task is not None:
                task.cancel()
        if self._wire is not None:
            self._wire.cancel()
        self._end(outcome)

    def __await__(self) -> Generator[Any, None, Any]:
        wire = self._wire
        try:
            if wire is not None:
                try:
                    response = yield from wire.__await__()
                except grpc.aio.AioRpcError:
                    pass  # the flow has been told, and has decided
                else:
                    outcome = self._outcome
                    if outcome is not None and outcome.code == 0 and wire is self._wire:
                        return response
            outcome = yield from self._final().__await__()
        except asyncio.CancelledError:
            self.cancel()
            raise
        except Exception as error:
            # No status but an error of grpc's own, as for a request that its serializer cannot take.
            self._fail(error)
            raise
        if outcome is CANCELLED:
            raise asyncio.CancelledError
        if outcome.code:
            raise rpc_error(outcome)
        if outcome.answered_by:
            return self._outlet.read(outcome.value)
        return (yield from self._wire.__await__())

    async def _final(self) -> Outcome:
        """Wait for the end; whoever waits may be cancelled without ending the call."""
        if self._outcome is None:
            ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

            def wake(_: Any) -> None:
                if not ended.done():
                    ended.set_result(None)

            self.add_done_callback(wake)
            await ended
        assert self._outcome is not None  # noqa: S101 - callbacks are called once it is set
        return self._outcome

    # The rest of what grpc.aio's calls offer

    def cancel(self) -> bool:
        if self._outcome is not None:
            return False
        self._give_up(CANCELLED)
        return True

    def cancelled(self) -> bool:
        return self._outcome is not None and self._outcome.code == 1

    def done(self) -> bool:
        return self._outcome is not None

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        if self._outcome is not None:
            callback(self)
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    def time_remaining(self) -> float | None:
        return self._call.remaining(self._outlet.destination.chains.clock())

    async def initial_metadata(self) -> grpc.aio.Metadata:
        metadata: grpc.aio.Metadata = grpc.aio.Metadata()
        wire = self._wire
        if self._outcome is None and wire is not None:
            metadata = await wire.initial_metadata()
            if wire is self._wire and self._timer is None:
                return metadata
        outcome = await self._final()
        if self._wire is not None and not (outcome.rejected_by or outcome.answered_by):
            metadata = await self._wire.initial_metadata()
        return metadata

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        outcome = await self._final()
        if outcome.rejected_by or outcome.answered_by or self._wire is None:
            return grpc.aio.Metadata(*outcome.trailing)
        metadata: grpc.aio.Metadata = await self._wire.trailing_metadata()
        return metadata

    async def code(self) -> grpc.StatusCode:
        return STATUS[(await self._final()).code]

    async def details(self) -> str:
        outcome = await self._final()
        if outcome.code or outcome.answered_by:
            return outcome.details
        text: str = await self._wire.details()
        return text

    async def debug_error_string(self) -> str:
        outcome = await self._final()
        if outcome.rejected_by or outcome.answered_by or self._wire is None:
            return ""
        text: str = await self._wire.debug_error_string()
        return text

    async def wait_for_connection(self) -> None:
        await self  # grpc.aio's own waits for the response too

    def __repr__(self) -> str:
        return (
            f"<UnaryUnaryHandle {self._call.method} {'running' if self._outcome is None else self._outcome}>"
        )


def _failure(wire: Any, code: grpc.StatusCode) -> Outcome | None:
    """Return how the attempt failed; None when it was cancelled on this side."""
    debug = at_once(wire.debug_error_string())
    if code is grpc.StatusCode.CANCELLED and debug is None:
        return None  # what is cancelled here never reached gRPC's core, whose every status has this text
    trailing: grpc.aio.Metadata = at_once(wire.trailing_metadata())
    initial: grpc.aio.Metadata = at_once(wire.initial_metadata())
    return outcome_of(
        grpc.aio.AioRpcError(code, initial, trailing, at_once(wire.details()), debug_error_string=debug)
    )
