"""What is known of one WebSocket while it is open, and how frames come and go; it is watched, logged and drained as requests are."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from gateway.asgi import Headers, Receive, Scope, Send
from gateway.edge.inbox import MOST_HELD, silent
from gateway.exchange import STREAM, Exchange, Interruption
from gateway.problem import RequestProblem
from gateway.protocol.websocket import GOING_AWAY, Form, Frame, close_code, close_reason

METHOD: Final = "WEBSOCKET"
"""What stands for a handshake where routes and logs have an HTTP method."""
_SWITCHING: Final = 101
_DENIAL: Final = "websocket.http.response"


class SocketExchange(Exchange):
    """One WebSocket. Until it is accepted it is answered as any request is."""

    __slots__ = ("_arrived", "_connected", "_frames", "_held", "_room", "form", "surplus")

    is_socket = True

    def __init__(self, scope: Scope, receive: Receive, send: Send, now: float) -> None:
        super().__init__({**scope, "method": METHOD}, receive, send, now)
        self.phase = STREAM
        self.form: Form | None = None
        """What messages are in its frames; None while nobody has said."""
        self.surplus: Callable[[RequestProblem], None] | None = None
        """Ends the call for a frame that comes after the last request; None while there may be more requests."""
        self._connected = False
        self._frames: deque[Frame] = deque()
        self._held = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()

    async def _connect(self) -> None:
        if not self._connected:
            self._connected = True
            await self._receive()

    async def reply(self, status: int, headers: Headers, body: bytes) -> None:
        """Refuse the handshake."""
        self.status = status
        await self._connect()
        if _DENIAL not in (self.scope.get("extensions") or {}):
            # ASGI: closing before accepting answers the handshake with 403.
            await self._send({"type": "websocket.close", "code": 1008})
            return
        self.sent_bytes = len(body)
        headers = [*headers, (b"content-length", b"%d" % len(body)), *self.standing]
        await self._send({"type": f"{_DENIAL}.start", "status": status, "headers": headers})
        await self._send({"type": f"{_DENIAL}.body", "body": body})

    async def accept(self, form: Form | None) -> None:
        """Open the socket, and begin to receive."""
        await self._connect()
        self.form = form
        subprotocol = None if form is None else form.value
        named = [(b"x-request-id", self.request_id.encode("latin-1"))]
        await self._send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": named})
        self.status = _SWITCHING
        self.watcher = asyncio.get_running_loop().create_task(self._take_in())

    async def _take_in(self) -> None:
        """Receive, as long as little is held: only so is it noticed that the client has gone."""
        while True:
            message: Any = await self._receive()
            if message["type"] != "websocket.receive":
                self.interrupt(Interruption.CLIENT_GONE)
                return
            text = message.get("text")
            frame = (
                Frame(message.get("bytes") or b"", is_text=False)
                if text is None
                else Frame(text.encode(), is_text=True)
            )
            if self.surplus is not None:
                if not frame.ends:
                    self.surplus(_surplus())
                continue
            self._frames.append(frame)
            self._held += len(frame.data) + 1
            self._arrived.set()
            while self._held >= MOST_HELD:
                self._room.clear()
                await self._room.wait()

    async def next_frame(self, idle: float | None) -> Frame:
        """Return the next frame; raise RequestProblem when none comes in `idle` seconds."""
        while not self._frames:
            self._arrived.clear()
            try:
                async with asyncio.timeout(idle):
                    await self._arrived.wait()
            except TimeoutError:
                raise silent(idle or 0.0) from None
        frame = self._frames.popleft()
        self._held -= len(frame.data) + 1
        self._room.set()
        return frame

    def expect_no_more(self, surplus: Callable[[RequestProblem], None]) -> None:
        """From now on a frame ends the call; raise RequestProblem if one has come already."""
        self.surplus = surplus
        if any(not frame.ends for frame in self._frames):
            raise _surplus()
        self._frames.clear()
        self._held = 0
        self._room.set()

    async def send_text(self, text: str) -> None:
        """Send a text frame; returns when the client keeps up."""
        self.sent_bytes += len(text)
        await self._send({"type": "websocket.send", "text": text})

    async def send_binary(self, data: bytes) -> None:
        """Send a binary frame; returns when the client keeps up."""
        self.sent_bytes += len(data)
        await self._send({"type": "websocket.send", "bytes": data})

    async def close(self, code: int = 0, message: str = "") -> None:
        """Close the socket with a gRPC status."""
        if self.watcher is not None:
            # What the client answers to the close is not its going away.
            self.watcher.cancel()
        # "1001 indicates that an endpoint is "going away", such as a server going down" - RFC 6455, 7.4.1
        number = GOING_AWAY if self.interruption is Interruption.STOPPING else close_code(code)
        await self._send({"type": "websocket.close", "code": number, "reason": close_reason(message)})


def _surplus() -> RequestProblem:
    return RequestProblem("a frame came after the last message of the request")
