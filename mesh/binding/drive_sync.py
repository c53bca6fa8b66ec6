"""How the engine's effects happen in threads: in the caller's own, or on wires that run by themselves.

Mechanisms and aggregates are not thread-safe, and stages run only while a flow advances. So one thread at a time
advances a flow, whichever it is, and holds the lock for that alone: never while anything is waited for.
"""

from __future__ import annotations

import collections
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from mesh.call import ABANDONED, COMMIT, Attempt, Choose, Effect, Outcome, Race
from mesh.engine import Flow

T = TypeVar("T")

Step = Effect | Outcome
"""What a flow wants next, or how it ended."""


class Turns:
    """Lets one thread at a time advance the flows that share a State and Aggregates."""

    __slots__ = ("_dropped", "_holder", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder = 0
        self._dropped: collections.deque[Flow] = collections.deque()

    def advance(self, flow: Flow, answer: Any) -> Step:
        """Return what the flow wants next. One that was closed meanwhile ends as ABANDONED."""
        self._take()
        try:
            return flow.send(answer)
        except StopIteration as stop:
            outcome: Outcome | None = stop.value
            return ABANDONED if outcome is None else outcome
        finally:
            self._give()

    def close(self, flow: Flow) -> None:
        """End a flow early; its stages settle as abandoned."""
        self._take()
        try:
            flow.close()
        finally:
            self._give()

    def take(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run something else that stages are part of: what they hear of a message."""
        self._take()
        try:
            return function(*arguments)
        finally:
            self._give()

    def drop(self, flow: Flow) -> None:
        """End a flow early, from a finalizer: one runs in any thread at any time, also in one that advances another flow.

        So it never waits. Who advances a flow just then closes this one afterwards.
        """
        self._dropped.append(flow)
        self._sweep()

    def _take(self) -> None:
        me = threading.get_ident()
        if self._holder == me:
            raise RuntimeError("a stage must not make calls through the mesh: every other call waits for it")
        self._lock.acquire()
        self._holder = me

    def _give(self) -> None:
        self._holder = 0
        self._lock.release()
        if self._dropped:
            self._sweep()

    def _sweep(self) -> None:
        while self._dropped and self._lock.acquire(blocking=False):
            self._holder = threading.get_ident()
            try:
                while self._dropped:
                    self._dropped.popleft().close()
            finally:
                self._holder = 0
                self._lock.release()

    def __repr__(self) -> str:
        return f"<Turns {'taken' if self._lock.locked() else 'free'}>"


def unary(
    turns: Turns,
    flow: Flow,
    attempt: Callable[[Attempt], Outcome],
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Run the flow to its end in this thread, one attempt after the other, also where they were to be hedged."""
    step: Step = COMMIT
    try:
        step = turns.advance(flow, None)
        while type(step) is not Outcome:
            answer: Outcome | tuple[int, Outcome] | None = None
            if type(step) is Attempt:
                answer = attempt(step)
            elif type(step) is Race:
                # An attempt that blocks has always ended when the next effect is asked for.
                if step.start is not None:
                    answer = step.start.number, attempt(step.start)
            elif type(step) is not Choose:
                sleep(step.seconds)  # type: ignore[union-attr]  # COMMIT answers OPEN, which unary never sends
            step = turns.advance(flow, answer)
        return step
    finally:
        if type(step) is not Outcome:
            turns.close(flow)


class Wires:
    """The attempts of one call that run by themselves, as grpc's futures do."""

    __slots__ = ("_cancelled", "_ended", "_lock", "_outcome_of", "_running", "_start", "_stopped", "latest")

    def __init__(self, start: Callable[[Attempt], Any], outcome_of: Callable[[Any], Outcome]) -> None:
        """`start` returns grpc's call, already on its way; `outcome_of` says how it ended."""
        self._start = start
        self._outcome_of = outcome_of
        self._running: dict[int, Any] = {}
        self._lock = threading.RLock()  # finalizers cancel, in whatever thread
        self._cancelled = False
        # Queues, because finalizers put into them: a condition that its own thread is about to wait for would block it.
        self._ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._stopped: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.latest: Any = None
        """The call that was started last."""

    def launch(self, attempt: Attempt, then: Callable[[Outcome], None] | None = None) -> None:
        """Start an attempt. Its end goes to `then`, in a thread of grpc's, or is there for `wait`."""
        wire = self._start(attempt)
        with self._lock:
            self._running[attempt.number] = self.latest = wire
            cancelled = self._cancelled
        if cancelled:
            wire.cancel()
        if then is None:
            wire.add_done_callback(lambda _, number=attempt.number: self._ended.put(number))
        else:
            wire.add_done_callback(lambda wire: then(self._outcome_of(wire)))

    def wait(self, seconds: float | None) -> tuple[int, Outcome] | None:
        """Return the next attempt to end; None when the time passed, or the call was cancelled, before one did."""
        until = None if seconds is None else time.monotonic() + seconds
        while not self._cancelled:
            try:
                number = self._ended.get(
                    timeout=None if until is None else max(0.0, until - time.monotonic())
                )
            except queue.Empty:
                return None
            with self._lock:
                wire = self._running.pop(number, None)
            if wire is not None:
                return number, self._outcome_of(wire)
        return None

    def sleep(self, seconds: float) -> None:
        """Wait, unless the call is cancelled."""
        try:
            self._stopped.get(timeout=seconds)
        except queue.Empty:
            return

    def choose(self, number: int) -> None:
        """Cancel all attempts but this one."""
        with self._lock:
            losers = [wire for other, wire in self._running.items() if other != number]
            self._running.clear()
        for wire in losers:
            wire.cancel()

    def cancel(self) -> None:
        """Cancel all that runs, and whatever is started later; wake who waits."""
        with self._lock:
            self._cancelled = True
            running = list(self._running.values())
        self._ended.put(0)
        self._stopped.put(None)
        for wire in running:
            wire.cancel()

    def __repr__(self) -> str:
        return f"<Wires {len(self._running)} running{', cancelled' if self._cancelled else ''}>"


def raced(turns: Turns, flow: Flow, wires: Wires, step: Step) -> Outcome:
    """Run the flow to its end from this step on, with as many attempts at once as it asks for."""
    try:
        while type(step) is not Outcome:
            answer: Outcome | tuple[int, Outcome] | None = None
            if type(step) is Attempt:
                wires.launch(step)
                ended = wires.wait(None)
                # None: cancelled. The flow is closed and takes anything.
                answer = None if ended is None else ended[1]
            elif type(step) is Race:
                if step.start is not None:
                    wires.launch(step.start)
                answer = wires.wait(step.wait)
            elif type(step) is Choose:
                wires.choose(step.number)
            else:
                wires.sleep(step.seconds)  # type: ignore[union-attr]  # COMMIT answers OPEN, which unary never sends
            step = turns.advance(flow, answer)
        return step
    finally:
        if type(step) is not Outcome:
            turns.close(flow)
            wires.cancel()
