"""Takes in the body of a request whose answer does not wait for its end, a little ahead of whoever reads it.

Only by receiving is it noticed that a client has gone, and whoever reads may be waiting for a backend that takes no more.
So one task receives, as long as little is held, and goes on after the body's end until the client has gone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from gateway.edge.body import ClientGone
from gateway.edge.unpacking import Unpacker
from gateway.exchange import STREAM, Exchange, Interruption
from gateway.problem import RequestProblem
from mesh.call import Code

MOST_HELD: Final = 64 * 1024
"""Bytes that nobody has read yet, from which on nothing more is received."""
_PACKED_STEP: Final = 4096
"""Compressed bytes that are unpacked at a time."""
_MOST_UNPACKED: Final = 8 * 1024 * 1024
"""What they may become: gzip cannot make more than a thousandth of anything, and more than that is a bomb."""


class Inbox:
    """One request's body as pieces, to be read once."""

    __slots__ = ("_arrived", "_ended", "_exchange", "_held", "_idle", "_pieces", "_room", "_unpacker")

    def __init__(self, exchange: Exchange, idle: float) -> None:
        """Begin to receive; `idle`: seconds the client may be silent while it is waited for."""
        self._exchange = exchange
        self._unpacker = Unpacker(exchange.packed, _MOST_UNPACKED) if exchange.packed else None
        self._idle = idle
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._ended = False
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        exchange.phase = STREAM
        # The exchange's end cancels its watcher.
        exchange.watcher = asyncio.get_running_loop().create_task(self._receive())

    async def _receive(self) -> None:
        exchange = self._exchange
        try:
            while (piece := await exchange.next_piece()) is not None:
                if piece:
                    self._pieces.append(piece)
                    self._held += len(piece)
                    self._arrived.set()
                while self._held >= MOST_HELD:
                    self._room.clear()
                    await self._room.wait()
        except ClientGone:
            exchange.interrupt(Interruption.BODY_BROKEN)
            return
        self._ended = True
        self._arrived.set()
        await exchange.until_gone()
        exchange.interrupt(Interruption.CLIENT_GONE)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                self._held -= len(piece)
                self._room.set()
                if self._unpacker is None:
                    yield piece
                else:
                    for start in range(0, len(piece), _PACKED_STEP):
                        unpacked = self._unpacker.feed(piece[start : start + _PACKED_STEP])
                        if unpacked:
                            yield unpacked
            if self._ended:
                if self._unpacker is not None:
                    self._unpacker.finish()
                return
            self._arrived.clear()
            try:
                async with asyncio.timeout(self._idle):
                    await self._arrived.wait()
            except TimeoutError:
                raise silent(self._idle) from None

    def __repr__(self) -> str:
        return f"<Inbox held={self._held} ended={self._ended}>"


def silent(seconds: float) -> RequestProblem:
    """Return the refusal of a client that said nothing for so long."""
    text = f"the client sent nothing for {seconds:g} s"
    return RequestProblem(text, code=Code.DEADLINE_EXCEEDED, http_status=408)
