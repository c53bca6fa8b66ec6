"""How hedged calls happen under asyncio: attempts in tasks beside each other, all but the chosen one cancelled.

Cancelling an attempt's task cancels grpc's call that it waits for, so its server sees it. Only hedged calls pay for tasks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc.aio

from mesh.binding.status import outcome_of
from mesh.call import OPEN, Attempt, Choose, Effect, Outcome, Race, Sleep
from mesh.engine import Flow

Start = Callable[[Attempt], Awaitable[Any]]
"""Starts an attempt: returns grpc's call object, already on its way."""
Run = Callable[[Attempt], Awaitable[Outcome]]
"""Makes an attempt: answers when it has ended, or opened with its first message."""


class Racers:
    """The attempts of one call that run, each in a task of its own."""

    __slots__ = ("_run", "_tasks")

    def __init__(self, run: Run) -> None:
        self._run = run
        self._tasks: dict[int, asyncio.Future[Outcome]] = {}

    def launch(self, attempt: Attempt) -> None:
        """Start an attempt; it is on its way when this task next waits."""
        self._tasks[attempt.number] = asyncio.ensure_future(self._run(attempt))

    async def wait(self, seconds: float | None) -> tuple[int, Outcome] | None:
        """Return which attempt ended or opened first, and how, each attempt once; None when none did in time.

        Nor did any that somebody else has cancelled meanwhile, all of them together.
        """
        tasks = self._tasks
        done, _ = await asyncio.wait(tasks.values(), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        number = next((number for number, task in tasks.items() if task in done), None)
        return None if number is None else (number, tasks.pop(number).result())

    def cancel(self) -> None:
        """Cancel what runs."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    def __repr__(self) -> str:
        return f"<Racers {sorted(self._tasks)}>"


class StreamRacers(Racers):
    """Attempts that answer with streams: each runs until it has its first message."""

    __slots__ = ("_opened", "_start", "_wires")

    def __init__(self, start: Start) -> None:
        super().__init__(self._open)
        self._start = start
        self._wires: dict[int, Any] = {}
        self._opened: dict[int, tuple[AsyncIterator[Any], Any]] = {}

    async def _open(self, attempt: Attempt) -> Outcome:
        wire = self._wires[attempt.number] = await self._start(attempt)
        messages = aiter(wire)
        try:
            first = await anext(messages)
        except StopAsyncIteration:
            return Outcome(0)
        except grpc.aio.AioRpcError as error:
            return outcome_of(error)
        self._opened[attempt.number] = messages, first
        return OPEN

    def choose(self, number: int) -> tuple[Any, AsyncIterator[Any] | None, Any]:
        """Cancel all other attempts; return this one's wire, and its messages and the first of them if it opened."""
        messages, first = self._opened.pop(number, (None, None))
        wire = self._wires.pop(number, None)
        self.cancel()
        return wire, messages, first

    def cancel(self) -> None:
        """Cancel what runs, streams that opened a moment too late included."""
        super().cancel()
        for wire in self._wires.values():
            wire.cancel()
        self._wires.clear()
        self._opened.clear()


async def unary(
    flow: Flow,
    effect: Effect,
    run: Run,
    choose: Callable[[int], None] | None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Outcome:
    """Run the rest of a flow with one response, from its first Race on; `choose` is told whose answer is the call's."""
    racers = Racers(run)
    answer: tuple[int, Outcome] | Outcome | None
    try:
        while True:
            if type(effect) is Race:
                if effect.start is not None:
                    racers.launch(effect.start)
                answer = await racers.wait(effect.wait)
            elif type(effect) is Choose:
                racers.cancel()
                if choose is not None:
                    choose(effect.number)
                answer = None
            elif type(effect) is Attempt:  # the fallback's, when all that raced are gone
                answer = await run(effect)
                if choose is not None and answer.code == 0:  # one that fails leaves the failure as it was
                    choose(effect.number)
            else:
                assert type(effect) is Sleep  # noqa: S101 - COMMIT answers OPEN, which calls with one response never send
                await sleep(effect.seconds)
                answer = None
            effect = flow.send(answer)
    except StopIteration as stop:
        outcome: Outcome = stop.value
        return outcome
    finally:
        racers.cancel()
        flow.close()
