"""When lines of the access log are written: soon, many at once, and never while a call waits."""

from __future__ import annotations

import atexit
import threading
from typing import Final, Protocol

INTERVAL: Final = 1.0
"""Seconds a line may wait."""
BATCH: Final = 64 * 1024
"""Characters that are written without waiting longer."""
MOST: Final = 8 * 1024 * 1024
"""Characters kept while the reader of the log does not read; lines beyond are dropped and counted."""


class Stream(Protocol):
    """What lines are written to: a text file, standard output or error."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


class LineSink:
    """Collects lines and writes them from a thread of its own, which lives while there are lines.

    `write` is for any thread, costs an append, and never blocks on the stream.
    """

    __slots__ = (
        "_batch",
        "_full",
        "_interval",
        "_lines",
        "_lock",
        "_registered",
        "_size",
        "_stream",
        "_stream_lock",
        "_writing",
        "dropped",
    )

    def __init__(self, stream: Stream, *, interval: float = INTERVAL, batch: int = BATCH) -> None:
        self._stream = stream
        self._interval = interval
        self._batch = batch
        self._lines: list[str] = []
        self._size = 0
        self._writing = False
        self._registered = False
        self._lock = threading.Lock()  # of the fields above
        self._stream_lock = threading.Lock()  # of the stream, and of the order of what goes there
        self._full = threading.Event()
        self.dropped = 0

    def write(self, line: str) -> None:
        """Take a line, without its line break."""
        with self._lock:
            if self._size > MOST:
                self.dropped += 1
                return
            self._lines.append(line)
            self._size += len(line)
            full, begin = self._size >= self._batch, not self._writing
            self._writing = True
        if full:
            self._full.set()
        if begin:
            if not self._registered:
                self._registered = True
                atexit.register(self.flush)
            threading.Thread(target=self._run, name="mesh-access-log", daemon=True).start()

    def flush(self) -> None:
        """Write what there is, now, in this thread. To be called when a process drains; its end does."""
        with self._stream_lock:
            with self._lock:
                lines, self._lines, self._size = self._lines, [], 0
            if lines:
                try:
                    self._stream.write("\n".join([*lines, ""]))
                    self._stream.flush()
                # The reader is gone, or the stream closed: there is nobody to tell.
                except (OSError, ValueError):
                    self.dropped += len(lines)

    def _run(self) -> None:
        idle = False
        while not idle:
            self._full.wait(self._interval)
            self._full.clear()
            self.flush()
            with self._lock:
                idle = not self._lines
                self._writing = not idle

    def __repr__(self) -> str:
        return f"<LineSink {len(self._lines)} lines waiting, {self.dropped} dropped>"
