"""What the access log says of each request: one line of JSON when it has been answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from gateway.exchange import Exchange
from gateway.protocol.passage import Passage
from mesh.call import CODE_NAMES
from mesh.telemetry.line import Timestamps, quote
from mesh.telemetry.sink import LineSink

INTERVAL: Final = 0.2
"""Seconds that lines are collected before the sink gets them: its lock and thread cost 6 us each time."""
_BATCH: Final = 512
"""Lines that are handed over without waiting longer."""


class AccessLog:
    """Writes the lines. Members that say nothing are left out. Belongs to one event loop."""

    __slots__ = ("_lines", "_sink", "_timer", "_timestamps", "_wall")

    def __init__(self, sink: LineSink, wall: Callable[[], float] = time.time) -> None:
        self._sink = sink
        self._wall = wall
        self._timestamps = Timestamps()
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def write(self, exchange: Exchange | Passage, now: float) -> None:
        """Write the line of a request that has ended at `now`, in monotonic seconds."""
        # What a client chose is quoted; request ids hold nothing that needs it.
        line = (
            f'{{"time":"{self._timestamps.render(self._wall())}","id":"{exchange.request_id}",'
            f'"method":{quote(exchange.method)},"path":{quote(exchange.path.decode("latin-1"))},'
            f'"route":{quote(exchange.route)},"status":{exchange.status},"code":"{CODE_NAMES[exchange.code]}",'
            f'"protocol":"{exchange.protocol}","seconds":{now - exchange.started:.6f},'
            f'"received":{exchange.read_bytes},"bytes":{exchange.sent_bytes}'
        )
        client = exchange.client
        if client:
            line += f',"client":{quote(client)}'
        if exchange.error:
            line += f',"error":{quote(exchange.error)}'
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
