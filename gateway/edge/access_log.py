"""What the access log says of each request: one line of JSON when it has been answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Final

from gateway.exchange import Exchange
from mesh.call import CODE_NAMES
from mesh.telemetry.sink import LineSink

_quote: Final[Callable[[str], str]] = json.JSONEncoder().encode

INTERVAL: Final = 0.2
"""Seconds that lines are collected before the sink gets them: its lock and thread cost 6 us each time."""
_BATCH: Final = 512
"""Lines that are handed over without waiting longer."""


class AccessLog:
    """Writes the lines. Members that say nothing are left out. Belongs to one event loop."""

    __slots__ = ("_lines", "_second", "_sink", "_stamp", "_timer", "_wall")

    def __init__(self, sink: LineSink, wall: Callable[[], float] = time.time) -> None:
        self._sink = sink
        self._wall = wall
        self._second = -1
        self._stamp = ""
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def write(self, exchange: Exchange, now: float) -> None:
        """Write the line of a request that has ended at `now`, in monotonic seconds."""
        wall = self._wall()
        second = int(wall)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        # By hand: half the time of a dictionary through orjson. What a client chose is quoted; request ids hold nothing
        # that needs it.
        line = (
            f'{{"time":"{self._stamp}.{int((wall - second) * 1000):03d}Z","id":"{exchange.request_id}",'
            f'"method":{_quote(exchange.method)},"path":{_quote(exchange.path.decode("latin-1"))},'
            f'"route":{_quote(exchange.route)},"status":{exchange.status},"code":"{CODE_NAMES[exchange.code]}",'
            f'"seconds":{now - exchange.started:.6f},"bytes":{exchange.sent_bytes}'
        )
        client = exchange.scope.get("client")
        if client:
            line += f',"client":{_quote(client[0])}'
        if exchange.error:
            line += f',"error":{_quote(exchange.error)}'
        if exchange.trace is not None:
            line += f',"trace_id":"{exchange.trace.trace_id}"'
        self._lines.append(line + "}")
        if len(self._lines) >= _BATCH:
            self._hand_over()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._hand_over)

    def _hand_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines = self._lines, []
        if lines:
            self._sink.write("\n".join(lines))

    def flush(self) -> None:
        """Write what is buffered, now."""
        self._hand_over()
        self._sink.flush()

    def __repr__(self) -> str:
        return f"<AccessLog {self._sink!r}>"
