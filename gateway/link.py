"""How a supervisor and a worker talk: questions one way, answers and news the other, over one pipe.

Either end learns of the other's death by the pipe's end, however it died.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Any, Final

ANSWER: Final = "answer"
QUESTION: Final = "question"
READY: Final = "ready"
_GONE: Final = "the other process is gone"


class Link:
    """One end of a pipe, in an event loop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._sending = asyncio.Lock()
        self._respond: Callable[[str, Any], Awaitable[Any]] | None = None
        self._answering: set[asyncio.Future[None]] = set()
        self._loop = asyncio.get_running_loop()
        self.ready = asyncio.Event()
        """Set when the other end has said that it is ready."""
        self.ended = asyncio.Event()
        """Set when there is no other end any more."""
        self._loop.add_reader(connection.fileno(), self._read)

    def respond(self, respond: Callable[[str, Any], Awaitable[Any]]) -> None:
        """Answer the other end's questions with what this returns."""
        self._respond = respond

    async def say_ready(self) -> None:
        """Tell the other end that this one is ready."""
        await self._send((READY, 0, "", None))

    async def ask(self, question: str, argument: Any, *, seconds: float) -> Any:
        """Return the answer to a question. Raises TimeoutError, and ConnectionError when the other end is gone."""
        number = next(self._numbers)
        answer = self._waiting[number] = self._loop.create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._send((QUESTION, number, question, argument))
                return await answer
        finally:
            del self._waiting[number]

    async def _send(self, message: tuple[str, int, str, Any]) -> None:
        # In a thread: a long answer must not hold up those who are served here, when the other end is slow to read.
        async with self._sending:
            if self.ended.is_set():
                raise ConnectionError(_GONE)
            try:
                await asyncio.to_thread(self._connection.send, message)
            except OSError as error:  # a pipe that this end has closed says so with no more than that
                raise ConnectionError(_GONE) from error

    def _read(self) -> None:
        try:
            kind, number, question, content = self._connection.recv()
        except (EOFError, OSError):
            self.close()
            return
        if kind == READY:
            self.ready.set()
        elif kind == ANSWER:
            waiting = self._waiting.get(number)
            if waiting is not None and not waiting.done():
                waiting.set_result(content)
        elif self._respond is not None:
            answering = asyncio.ensure_future(self._answer(number, self._respond(question, content)))
            self._answering.add(answering)
            answering.add_done_callback(self._answering.discard)

    async def _answer(self, number: int, answer: Awaitable[Any]) -> None:
        try:
            await self._send((ANSWER, number, "", await answer))
        except OSError:
            # Nobody waits for it any more.
            self.close()

    async def ready_or_ended(self) -> None:
        """Wait until the other end is ready, or gone."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self.ready, self.ended)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def close(self) -> None:
        """Wait for nothing any more. Idempotent."""
        if self.ended.is_set():
            return
        self.ended.set()
        self._loop.remove_reader(self._connection.fileno())
        self._connection.close()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError(_GONE))

    def __repr__(self) -> str:
        return f"<Link {'ended' if self.ended.is_set() else 'open'}>"
