"""One keep-alive HTTP/1.1 connection that sends the same request again and again, as cheaply as Python can."""

from __future__ import annotations

import asyncio
from typing import Any

import httptools


class UnexpectedResponseError(Exception):
    """A contender answered with something else than 200."""


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self.body = b""
        """The last response's."""
        self._parser = httptools.HttpResponseParser(self)
        self._answered: asyncio.Future[None] | None = None
        # uvloop's transports are no asyncio.Transport, but behave as one.
        self._transport: Any = None
        self._loop = asyncio.get_running_loop()

    async def send(self, request: bytes) -> None:
        """Send a request and wait for its whole answer; raise UnexpectedResponseError unless that is a 200."""
        self._answered = self._loop.create_future()
        self._transport.write(request)
        await self._answered

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    # asyncio's callbacks

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(UnexpectedResponseError(f"the connection was closed: {error}"))

    # httptools' callbacks

    def on_message_begin(self) -> None:
        self.body = b""

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        answered = self._answered
        if answered is None or answered.done():
            return
        status = self._parser.get_status_code()
        if status == 200:
            answered.set_result(None)
        else:
            shown = self.body[:200].decode("utf-8", "replace")
            answered.set_exception(UnexpectedResponseError(f"status {status}: {shown}"))


class Pool:
    """Connections to one server; as many as there are requests in flight."""

    def __init__(self, address: str, request: bytes) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._request = request
        self._idle: list[Connection] = []

    async def call(self) -> bytes:
        """Send the request on an idle connection and return the body of its answer."""
        while self._idle:
            connection = self._idle.pop()
            # Servers close what has been idle for some seconds, as every contender is between its turns.
            if connection.is_open:
                break
        else:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(Connection, self._host, self._port)
        await connection.send(self._request)
        self._idle.append(connection)
        return connection.body
