"""A response stream whose attempts the engine drives: what a caller holds instead of grpc's own call object.

The first attempt starts before the caller gets the object, as grpc's calls do; further ones start when a message is
asked for, in the thread that asks. The first message is the commit point: until then a failed attempt may be followed
by another, after it the messages are relayed as they come. Whatever happens to the object - read to the end, cancelled
from any thread, dropped half-read or never read - the flow is closed and every stage settles once.

Attempts never run side by side: grpc's synchronous API cannot wait for the first message of several streams but with a
thread for each.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from mesh.binding.drive_sync import Step, Turns
from mesh.binding.exchange_sync import Exchange, hang_up
from mesh.binding.handle_sync import Ending, Handle
from mesh.binding.status import CANCELLED
from mesh.binding.status_sync import error_of, outcome_of
from mesh.call import COMMIT, OPEN, Attempt, Choose, Outcome, Race


class StreamHandle(Handle):
    """What a caller of a method with a stream of responses holds; to be read by one thread at a time."""

    def __init__(self, turns: Turns, exchange: Exchange, start: Callable[[Attempt], Any]) -> None:
        """Admit the call and start its first attempt; a rejection ends the stream at once."""
        super().__init__(Ending())
        self._turns = turns
        self._exchange = exchange
        self._start = start
        self._wire: Any = None
        self._first: Any = None
        self._opening = False
        self._step: Step = COMMIT
        self._stopped: queue.SimpleQueue[None] = queue.SimpleQueue()
        begun = False
        try:
            self._advance(None)
            begun = True
        finally:
            if not begun:  # the channel is closed, or an interceptor below raised
                self._close(turns.close)

    # What the engine sees

    def _advance(self, answer: Outcome | tuple[int, Outcome] | None) -> None:
        step = self._turns.advance(self._exchange.flow, answer)
        if type(step) is Outcome:
            self._step = step
            self._ending.set(step)
            return
        attempt = step.start if type(step) is Race else step
        if type(attempt) is Attempt:
            wire = self._start(attempt)
            with self._ending.changed:
                self._wire = wire
            if self._ending.outcome is not None:  # cancelled while it was started
                hang_up(wire)
        self._step = step

    def _open(self) -> None:
        """Drive attempts until one has a first message, or the call is over, whoever asked first."""
        changed = self._ending.changed
        with changed:
            changed.wait_for(lambda: not self._opening)
            if self._ending.outcome is not None or self._step is COMMIT:
                return
            self._opening = True
        try:
            while self._ending.outcome is None and self._step is not COMMIT:
                self._advance(self._answer(self._step))
        finally:
            with changed:
                self._opening = False
                changed.notify_all()

    def _answer(self, step: Step) -> Outcome | tuple[int, Outcome] | None:
        if type(step) is Attempt:
            return self._await_first()
        if type(step) is Race:
            return None if step.start is None else (step.start.number, self._await_first())
        if type(step) is not Choose:
            try:
                self._stopped.get(timeout=step.seconds)  # type: ignore[union-attr]  # a Sleep, which a cancel ends
            except queue.Empty:
                return None
        return None

    def _await_first(self) -> Outcome:
        message, ended = self._read()
        if ended is None:
            self._first = (message,)
            return OPEN
        return ended

    def _read(self) -> tuple[Any, Outcome | None]:
        """Return the next message of the current attempt, or how it ended."""
        wire = self._wire
        if not hasattr(wire, "__next__"):  # a request that could not be sent
            return None, outcome_of(wire)
        try:
            message = next(wire)
        except StopIteration:
            return None, Outcome(0)
        except Exception as error:  # noqa: BLE001 - an interceptor of the application's may raise anything; it is raised on
            return None, outcome_of(error)
        if self._exchange.refuses(message):
            hang_up(wire)
            return None, CANCELLED  # whatever the flow is told, it ends with the verdict
        return message, None

    # How it ends

    def _close(self, end: Callable[[Any], object], outcome: Outcome = CANCELLED) -> bool:
        """End the call from this side: settle the stages, as abandoned unless `end` does it, and cancel the wire."""
        if not self._ending.set(outcome):
            return False
        end(self._exchange.flow)
        self._stopped.put(None)
        with self._ending.changed:
            wire = self._wire
        if wire is not None:
            hang_up(wire)
        return True

    def judged(self) -> None:
        """End the call with the verdict of a stage, whether anybody reads or not."""
        verdict = self._exchange.verdict
        if verdict is not None:
            # Whatever the flow is told, it ends with the verdict.
            self._close(lambda flow: self._turns.advance(flow, None), verdict)

    # What the caller sees

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._ending.outcome is None and self._step is not COMMIT:
            self._open()
        first, self._first = self._first, None
        if self._ending.outcome is None:
            if first is not None:
                return first[0]
            message, ended = self._read()
            if ended is None:
                return message
            if self._ending.outcome is None:
                self._advance(ended._replace(committed=True))
        outcome = self._ending.wait()
        if outcome.code:
            raise error_of(outcome)
        raise StopIteration

    def next(self) -> Any:
        """Return the next message, as grpc's own objects do."""
        return self.__next__()

    @property
    def _current(self) -> Any:
        return self._wire

    def _finish(self, timeout: float | None = None) -> Outcome:
        """Wait for the end without reading: a caller may ask for the code first, or only."""
        if self._ending.outcome is None:
            self._open()
        outcome = self._ending.outcome
        if outcome is None and timeout is None:
            wire = self._wire
            code = wire.code()  # ends with the wire, which a cancel from elsewhere cancels
            outcome = self._ending.outcome
            if outcome is None:
                trailing = tuple((key, value) for key, value in wire.trailing_metadata() or ())
                return Outcome(code.value[0], wire.details() or "", trailing=trailing)
        return self._ending.wait(timeout) if outcome is None else outcome

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end and raise what it ended with. A stream has no result: read it."""
        outcome = self._finish(timeout)
        if outcome is CANCELLED:
            raise grpc.FutureCancelledError
        if outcome.code:
            raise error_of(outcome)

    def cancel(self) -> bool:
        return self._close(self._turns.close)

    def __del__(self) -> None:
        if hasattr(self, "_wire"):  # a constructor that failed early left nothing to end
            self._close(self._turns.drop)
