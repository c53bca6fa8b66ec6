"""An ASGI client without a server: one request in, everything that was sent out."""

from __future__ import annotations

import asyncio
import json
from typing import Any


class Response:
    """What an application sent."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.complete = False

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.body[:200]!r}>"


class Request:
    """One request whose body and end are given by the test."""

    def __init__(
        self,
        method: str,
        target: str,
        *,
        headers: list[tuple[str, str]] | None = None,
        body: bytes | None = None,
        version: str = "1.1",
        host: bool = True,
    ) -> None:
        path, _, query = target.partition("?")
        given = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers or []]
        if host:
            given.append((b"host", b"test"))
        names = {name for name, _ in given}
        if body is not None and not names & {b"content-length", b"transfer-encoding"}:
            given.append((b"content-length", str(len(body)).encode()))
        if body and b"content-type" not in names:
            given.append((b"content-type", b"application/json"))
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": version,
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name, value) for name, value in given if value != b"-"],
            "client": ("192.0.2.1", 4711),
        }
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        if body is not None:
            self.messages.put_nowait({"type": "http.request", "body": body, "more_body": False})
        self.response = Response()
        self.writable = asyncio.Event()
        self.writable.set()

    def disconnect(self) -> None:
        self.messages.put_nowait({"type": "http.disconnect"})

    async def _send(self, message: dict[str, Any]) -> None:
        await self.writable.wait()
        response = self.response
        if message["type"] == "http.response.start":
            assert response.status == 0, "two answers to one request"
            response.status = message["status"]
            for name, value in message["headers"]:
                # RFC 9110, 5.3: lines of one name are one list.
                key, text = name.decode(), value.decode("latin-1")
                response.headers[key] = (
                    f"{response.headers[key]}, {text}" if key in response.headers else text
                )
        else:
            assert response.status, "a body before the headers"
            assert not response.complete, "more body after the end"
            response.pieces.append(message.get("body", b""))
            response.complete = not message.get("more_body", False)

    async def run(self, app: Any) -> Response:
        # In a task of its own, as servers do: the gateway cancels the task of a request whose client has gone.
        await asyncio.create_task(app(self.scope, self.messages.get, self._send))
        return self.response


async def call(app: Any, method: str, target: str, body: Any = None, **options: Any) -> Response:
    """Send one request; a body that is not bytes is sent as JSON."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return await Request(method, target, body=body, **options).run(app)
