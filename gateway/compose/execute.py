"""How a run is performed on an event loop: every wait and every task of a composition is here.

A call that is alone in flight is awaited in place. Calls that are in flight together are tasks; what becomes
possible when one ends is started from its callback, so no step waits for the executing task to wake up, and
that task wakes up once.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable

from google.protobuf.message import Message

from gateway.compose.plan import Plan
from gateway.compose.run import Call, Result, Run
from mesh.call import Outcome

Invoke = Callable[[str, bytes, float | None], Awaitable[Outcome]]
"""Call a backend's method (`/package.Service/Method`) with a request's bytes and a timeout in seconds; the
outcome's value is the response's bytes. Failures are outcomes: an exception is a fault of the invoke."""


async def execute(
    plan: Plan, request: Message, invoke: Invoke, *, now: Callable[[], float], deadline: float | None
) -> Result:
    """Answer one composed call; `now` gives, and `deadline` is in, monotonic seconds.

    When it returns or raises, no call of it is in flight any more: not after a failed step, not after the
    cancellation of the calling task, not after an exception from `invoke`, which is raised as it is.
    """
    run = Run(plan, request, deadline)
    calls = run.start(now())
    while len(calls) == 1:
        (call,) = calls
        outcome = await invoke(call.node.rpc, call.request, call.timeout)
        calls = run.complete(call, outcome, now()).start
    if calls:
        await _Flight(run, invoke, now).complete(calls)
    return run.result()


class _Flight:
    """The calls of one run that are in flight together, until the run is finished."""

    __slots__ = ("_finished", "_invoke", "_loop", "_now", "_run", "_tasks")

    def __init__(self, run: Run, invoke: Invoke, now: Callable[[], float]) -> None:
        self._run = run
        self._invoke = invoke
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._finished: asyncio.Future[None] = self._loop.create_future()
        self._tasks: dict[Call, asyncio.Future[Outcome]] = {}

    async def complete(self, calls: Iterable[Call]) -> None:
        try:
            self._start(calls)
            await self._finished
        finally:
            if self._tasks:
                await self._stop()

    def _start(self, calls: Iterable[Call]) -> None:
        for call in calls:
            awaitable = self._invoke(call.node.rpc, call.request, call.timeout)
            task = asyncio.ensure_future(awaitable, loop=self._loop)
            self._tasks[call] = task
            task.add_done_callback(functools.partial(self._landed, call))

    def _landed(self, call: Call, task: asyncio.Future[Outcome]) -> None:
        """Go on from a call that has ended."""
        del self._tasks[call]
        if self._finished.done() or not self._run.wants(call):
            # An exception of such a call is nobody's answer; asyncio logs it, as it was never retrieved.
            return
        try:
            moves = self._run.complete(call, task.result(), self._now())
            if moves.cancel:
                self._cancel(moves.cancel)
            self._start(moves.start)
        except asyncio.CancelledError:
            self._finished.cancel()
        except Exception as error:  # noqa: BLE001 - handed on: raised by complete(), in the executing task
            self._finished.set_exception(error)
        else:
            if self._run.finished:
                self._finished.set_result(None)

    def _cancel(self, calls: Iterable[Call]) -> None:
        for call in calls:
            self._tasks[call].cancel()

    async def _stop(self) -> None:
        """Cancel what is still wanted, and wait until nothing is in flight."""
        # Each is cancelled once: a second time would interrupt its cleaning up.
        self._cancel(filter(self._run.wants, self._tasks))
        interrupted = None
        while self._tasks:
            try:
                await asyncio.wait(self._tasks.values())
            except asyncio.CancelledError as error:
                interrupted = error
        if interrupted is not None:
            raise interrupted

    def __repr__(self) -> str:
        return f"<_Flight {list(self._tasks)}>"
