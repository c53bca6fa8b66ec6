"""A call with one response that runs by itself: what `stub.Method.future(...)` gives.

The first attempt starts in the caller's thread and its end is heard in grpc's own. Whatever must wait - for the time of
another attempt, for the first of several - does so in a thread of its own, which a call has only from then on: grpc's
thread serves the whole channel, and an application's interceptor below us may block.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any

import grpc

from mesh.binding.drive_sync import Step, Turns, Wires, raced
from mesh.binding.handle_sync import Ending, Handle
from mesh.binding.status import CANCELLED
from mesh.binding.status_sync import error_of
from mesh.call import Attempt, Outcome
from mesh.engine import Flow


class Running:
    """A flow and its attempts, until it has ended. It does not know its handle, so that a dropped one is noticed."""

    __slots__ = ("_context", "_flow", "_turns", "ending", "wires")

    def __init__(self, turns: Turns, flow: Flow, wires: Wires) -> None:
        self._turns = turns
        self._flow = flow
        self._context = contextvars.copy_context()
        self.wires = wires
        self.ending = Ending()

    def begin(self) -> None:
        """Admit the call and start its first attempt."""
        step = self._turns.advance(self._flow, None)
        if type(step) is not Attempt:
            self._go_on(step)
            return
        begun = False
        try:
            self.wires.launch(step, self._first_ended)
            begun = True
        finally:
            if not begun:  # the channel is closed, or an interceptor below raised
                self.cancel()

    def _first_ended(self, outcome: Outcome) -> None:
        self._go_on(self._turns.advance(self._flow, outcome))

    def _go_on(self, step: Step) -> None:
        if type(step) is Outcome:
            self.ending.set(step)
            return
        started = False
        try:
            threading.Thread(
                target=self._context.run, args=(self._drive, step), name="mesh-attempts", daemon=True
            ).start()
            started = True
        finally:
            if not started:  # there is no thread to be had
                self.cancel()

    def _drive(self, step: Step) -> None:
        try:
            self.ending.set(raced(self._turns, self._flow, self.wires, step))
        finally:
            self.ending.set(CANCELLED)  # an attempt could not be started: the channel was closed meanwhile

    def cancel(self) -> bool:
        """End the call from this side."""
        if not self.ending.set(CANCELLED):
            return False
        self._turns.close(self._flow)
        self.wires.cancel()
        return True

    def abandon(self) -> None:
        """End the call from a finalizer."""
        if self.ending.set(CANCELLED):
            self._turns.drop(self._flow)
            self.wires.cancel()

    def __repr__(self) -> str:
        return f"<Running {self.wires!r} {self.ending!r}>"


class UnaryHandle(Handle):
    """What a caller of `future` holds. Dropped, without a callback that waits for it, the call is cancelled: as grpc's."""

    def __init__(
        self, turns: Turns, flow: Flow, wires: Wires, read: Callable[[Outcome], tuple[Any, Any]]
    ) -> None:
        """Start the call; `read` returns the response of a successful outcome and grpc's call of it."""
        self._run = Running(turns, flow, wires)
        self._read = read
        super().__init__(self._run.ending)
        self._run.begin()

    @property
    def _current(self) -> Any:
        outcome = self._ending.outcome
        if outcome is not None and outcome.code == 0:
            return self._read(outcome)[1]
        return self._run.wires.latest

    def cancel(self) -> bool:
        return self._run.cancel()

    def result(self, timeout: float | None = None) -> Any:
        outcome = self._finish(timeout)
        if outcome is CANCELLED:
            raise grpc.FutureCancelledError
        if outcome.code:
            raise error_of(outcome)
        return self._read(outcome)[0]

    def __del__(self) -> None:
        run = getattr(self, "_run", None)  # a constructor that failed leaves none
        if run is not None:
            run.abandon()
