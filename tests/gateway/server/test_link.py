"""How a supervisor and a worker talk over their pipe: answers find their questions, and neither waits for the dead."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.link import Link


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Link, Link]]:
    mine, its = multiprocessing.Pipe()
    pair = Link(mine), Link(its)
    yield pair
    for link in pair:
        link.close()


async def test_answers_find_their_questions(ends):
    asking, answering = ends
    turns: dict[str, asyncio.Event] = {"first": asyncio.Event(), "second": asyncio.Event()}

    async def respond(question: str, argument: Any) -> str:
        await turns[question].wait()
        return f"{question} {argument}"

    answering.respond(respond)
    first = asyncio.ensure_future(asking.ask("first", 1, seconds=5))
    second = asyncio.ensure_future(asking.ask("second", 2, seconds=5))
    turns["second"].set()
    assert await second == "second 2"
    assert not first.done()
    turns["first"].set()
    assert await first == "first 1"


async def test_an_answer_larger_than_the_pipe(ends):
    asking, answering = ends

    async def respond(_question: str, argument: int) -> bytes:
        return b"x" * argument

    answering.respond(respond)
    assert len(await asking.ask("fill", 3_000_000, seconds=10)) == 3_000_000


async def test_an_answer_that_is_late_is_nobodys(ends):
    asking, answering = ends
    turn = asyncio.Event()

    async def respond(question: str, _: Any) -> str:
        if question == "slow":
            await turn.wait()
        return question

    answering.respond(respond)
    with pytest.raises(TimeoutError):
        await asking.ask("slow", "", seconds=0.01)
    turn.set()
    assert await asking.ask("quick", "", seconds=5) == "quick"


async def test_readiness(ends):
    supervisor, worker = ends
    await worker.say_ready()
    await asyncio.wait_for(supervisor.ready_or_ended(), 5)
    assert supervisor.ready.is_set()


async def test_the_end_of_the_other_end(ends):
    asking, answering = ends
    gone = asyncio.ensure_future(asking.ask("anything", "", seconds=5))
    await asyncio.sleep(0)
    answering.close()
    with pytest.raises(ConnectionError):
        await gone
    await asyncio.wait_for(asking.ready_or_ended(), 5)
    assert not asking.ready.is_set()
    with pytest.raises(ConnectionError):
        await asking.ask("anything", "", seconds=5)
