"""Constant load over a few kept connections, and every answer it got."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, Self


class Answer(NamedTuple):
    path: str
    began: float
    seconds: float
    status: int
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


class Connection:
    """One HTTP/1.1 connection, kept open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, method: str, path: str, body: bytes = b"") -> None:
        head = f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        self._writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read the head of an answer."""
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        return int(first.split(" ")[1]), dict(line.lower().split(": ", 1) for line in lines)

    async def request(self, path: str, *, method: str = "GET", body: bytes = b"") -> Answer:
        began = time.monotonic()
        self.send(method, path, body)
        status, headers = await self.head()
        text = (await self.reader.readexactly(int(headers["content-length"]))).decode()
        return Answer(path, began, time.monotonic() - began, status, text)

    def close(self) -> None:
        self._writer.close()


class Stream(NamedTuple):
    """How many connections ask for a path, and how often each of them."""

    connections: int
    per_second: float


class Load:
    """Asks while it is entered. A connection that is still waiting when its next turn comes lets it pass."""

    def __init__(self, port: int, streams: Mapping[str, Stream]) -> None:
        self.answers: list[Answer] = []
        self._port = port
        self._streams = streams
        self._over = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._ask(path, 1.0 / stream.per_second, index / stream.connections))
            for path, stream in self._streams.items()
            for index in range(stream.connections)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        async with asyncio.timeout(20):
            await asyncio.gather(*self._tasks)

    def since(self, began: float, path: str = "") -> list[Answer]:
        """Return the answers to requests that began after this, of a path or of all."""
        return [answer for answer in self.answers if answer.began >= began and path in ("", answer.path)]

    async def _ask(self, path: str, period: float, offset: float) -> None:
        connection = await Connection.open(self._port)
        turn = time.monotonic() + offset * period
        try:
            while not self._over:
                await asyncio.sleep(max(0.0, turn - time.monotonic()))
                self.answers.append(await connection.request(path))
                turn = max(turn + period, time.monotonic())
        finally:
            connection.close()
