"""The demo's HTTP client: JSON in, JSON out, streams line by line; nothing but the standard library."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from typing import Any, NamedTuple
from urllib.parse import urlsplit

TIMEOUT = 15.0


class Answer(NamedTuple):
    """What came back."""

    status: int
    reason: str
    body: Any
    seconds: float


class Client:
    """One API; each request has its own connection, as with curl."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._address = urlsplit(base).netloc

    async def call(self, method: str, path: str, body: Any = None) -> Answer:
        """Send one request; an answer that is not JSON is given as text."""
        return await asyncio.to_thread(self._call, method, path, body)

    async def stream(self, path: str) -> Stream:
        """Send one request that is answered line by line."""
        return await asyncio.to_thread(Stream, self._address, path)

    def _call(self, method: str, path: str, body: Any) -> Answer:
        connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT)
        started = time.perf_counter()
        try:
            headers = {} if body is None else {"content-type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        return Answer(response.status, response.reason, value, time.perf_counter() - started)


class Stream:
    """An answer that is still coming."""

    def __init__(self, address: str, path: str) -> None:
        started = time.perf_counter()
        self._connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
        self._connection.request("GET", path)
        self._response = self._connection.getresponse()
        self.head = Answer(self._response.status, self._response.reason, None, time.perf_counter() - started)

    async def line(self) -> Any:
        """Return the next line."""
        return json.loads(await asyncio.to_thread(self._response.readline))

    def close(self) -> None:
        """Leave, which ends the call on the server too."""
        self._connection.close()
