"""How copies of requests are sent without an event loop: as futures of grpc's, started by the thread of the alarms.

The thread that calls only notes what is to be copied: it neither serializes nor opens anything for the copy. Responses of a
stream have to be read for it to end, which takes a thread for each such copy.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import grpc

from mesh.binding.alarm import Alarms
from mesh.binding.drive_sync import Turns
from mesh.binding.mirror import Mirrors, wire_form
from mesh.stage.copier import ANSWERED, FAILED, Copy


class Copier:
    """Sends the copies of one channel's calls, on channels of its own; they end when it is closed."""

    def __init__(self, open_target: Callable[[str], grpc.Channel], turns: Turns, alarms: Alarms) -> None:
        self._mirrors = Mirrors(open_target)
        self._turns = turns
        self._alarms = alarms
        self._lock = threading.Lock()
        self._running: set[Any] = set()
        self._closed = False

    def send(self, copy: Copy) -> None:
        try:
            self._alarms.set(0.0, functools.partial(self._start, copy))
        except RuntimeError:  # there is no thread to be had
            copy.ended(FAILED)  # which is the caller's turn, as all of a stage is

    def _start(self, copy: Copy) -> None:
        wire = None
        try:
            request = wire_form(copy.message)
            with self._lock:  # what is started while this is closed would be missed
                if not self._closed:
                    wire = self._launch(copy, request)
                    self._running.add(wire)
            if wire is not None:
                self._follow(copy, wire)
                return
        except Exception as error:  # noqa: BLE001 - counted; a target that cannot be opened must not end the thread
            self._mirrors.report(copy, error)
        if wire is not None:
            wire.cancel()
        self._count(copy, wire, FAILED)

    def _launch(self, copy: Copy, request: bytes) -> Any:
        method = self._mirrors.method(copy)
        start = method if copy.arity.response_streams else method.future
        return start(request, timeout=copy.timeout, metadata=copy.metadata)

    def _follow(self, copy: Copy, wire: Any) -> None:
        if copy.arity.response_streams:
            threading.Thread(target=self._read, args=(copy, wire), name="mesh-mirrored", daemon=True).start()
        else:
            wire.add_done_callback(functools.partial(self._ended, copy))

    def _read(self, copy: Copy, wire: Any) -> None:
        try:
            for _ in wire:
                pass
        except grpc.RpcError:
            pass  # its code says it
        finally:
            self._ended(copy, wire)

    def _ended(self, copy: Copy, wire: Any) -> None:
        self._count(copy, wire, ANSWERED if wire.code() is grpc.StatusCode.OK else FAILED)

    def _count(self, copy: Copy, wire: Any, result: str) -> None:
        with self._lock:
            self._running.discard(wire)
        self._turns.take(copy.ended, result)

    def close(self) -> None:
        """Cancel the copies in flight and close their channels."""
        with self._lock:
            self._closed = True
            running = tuple(self._running)
        for wire in running:
            wire.cancel()
        for channel in self._mirrors.channels.values():
            channel.close()

    def __repr__(self) -> str:
        return f"<Copier {len(self._running)} in flight to {self._mirrors!r}>"
