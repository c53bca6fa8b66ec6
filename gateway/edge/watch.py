"""Which requests have waited too long, or for nobody: found by one timer for all of them.

A task or a timer per request would cost 2-4 us each; a set costs 0.1. The timer runs while requests are in flight. At
each tick a request whose body is overdue is interrupted, and one that has been waiting for its backend since the last
tick gets a task that watches for the client's going away: quick requests never have one.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from gateway.exchange import ANSWER, BODY, Exchange, Interruption

TICK: Final = 0.05
"""Seconds between looks; how late a client's going away may be noticed."""


class Watch:
    """The requests in flight of one event loop."""

    __slots__ = ("_body_timeout", "_loop", "_seen", "_timer", "in_flight")

    def __init__(self, body_timeout: float) -> None:
        self.in_flight: set[Exchange] = set()
        self._body_timeout = body_timeout
        self._seen: set[Exchange] = set()
        """The requests that were waiting for their backend at the last tick."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, exchange: Exchange) -> None:
        """Watch a request, until `end`."""
        self.in_flight.add(exchange)
        if self._timer is None:
            self._loop = asyncio.get_running_loop()
            self._timer = self._loop.call_later(TICK, self._tick)

    def end(self, exchange: Exchange) -> None:
        """Stop watching a request."""
        self.in_flight.discard(exchange)
        if exchange.watcher is not None:
            exchange.watcher.cancel()

    def _tick(self) -> None:
        loop = self._loop
        assert loop is not None  # noqa: S101 - `begin` made the timer
        waiting: set[Exchange] = set()
        late = time.monotonic() - self._body_timeout
        for exchange in self.in_flight:
            if exchange.phase is BODY:
                if exchange.started <= late:
                    exchange.interrupt(Interruption.BODY_LATE)
            elif exchange.watcher is None and exchange.phase is ANSWER:
                if exchange in self._seen:
                    exchange.watcher = loop.create_task(_watch(exchange))
                else:
                    waiting.add(exchange)
        self._seen = waiting
        self._timer = loop.call_later(TICK, self._tick) if self.in_flight else None

    def __repr__(self) -> str:
        return f"<Watch {len(self.in_flight)} in flight>"


def watch_at_once(exchange: Exchange) -> None:
    """Notice from now on that the client has gone: for answers that are known to take long."""
    if exchange.watcher is None:
        exchange.watcher = asyncio.get_running_loop().create_task(_watch(exchange))


async def _watch(exchange: Exchange) -> None:
    await exchange.until_gone()
    exchange.interrupt(Interruption.CLIENT_GONE)
