"""What all call objects of the synchronous API share: how the call ended, who waits for that, who is told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import grpc

from mesh.binding.status import CANCELLED, STATUS
from mesh.binding.status_sync import error_of
from mesh.call import Outcome

_log = logging.getLogger("mesh")


class Ending:
    """How a call ended, once it has."""

    __slots__ = ("_callbacks", "changed", "outcome")

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.outcome: Outcome | None = None
        self._callbacks: list[Callable[[], None]] = []

    def set(self, outcome: Outcome) -> bool:
        """Note the end and tell whoever asked for it; False when it was known before."""
        with self.changed:
            if self.outcome is not None:
                return False
            self.outcome = outcome
            callbacks, self._callbacks = self._callbacks, []
            self.changed.notify_all()
        for callback in callbacks:
            try:
                callback()
            except Exception:  # noqa: BLE001 - as grpc does: there is nobody to raise it to
                _log.exception("a callback of a call failed")
        return True

    def wait(self, seconds: float | None = None) -> Outcome:
        """Return how the call ended; raise grpc.FutureTimeoutError when it has not after so long."""
        with self.changed:
            self.changed.wait_for(lambda: self.outcome is not None, seconds)
            if self.outcome is None:
                raise grpc.FutureTimeoutError
            return self.outcome

    def when(self, callback: Callable[[], None]) -> bool:
        """Have this called at the end; False when that has passed."""
        with self.changed:
            if self.outcome is not None:
                return False
            self._callbacks.append(callback)
            return True

    def __repr__(self) -> str:
        return f"<Ending {self.outcome or 'ahead'}>"


class Handle(grpc.Call, grpc.Future):  # type: ignore[type-arg]  # generic in the stubs only
    """A call as its caller holds it. Kinds of calls say what their wire is, how to wait and how to cancel."""

    def __init__(self, ending: Ending) -> None:
        self._ending = ending

    @property
    def _current(self) -> Any:
        """Return grpc's call of the attempt under way, or of the last; None when there was none."""
        raise NotImplementedError

    def _finish(self, timeout: float | None = None) -> Outcome:
        """Wait for the end."""
        return self._ending.wait(timeout)

    # grpc.RpcContext

    def is_active(self) -> bool:
        return self._ending.outcome is None

    def time_remaining(self) -> float | None:  # type: ignore[override]  # grpc's own returns None too
        remaining: float | None = None if self._current is None else self._current.time_remaining()
        return remaining

    def add_callback(self, callback: Callable[[], None]) -> bool:
        return self._ending.when(callback)

    # grpc.Call

    def initial_metadata(self) -> Any:
        if self._current is None:
            self._finish()
        return () if self._current is None else self._current.initial_metadata()

    def trailing_metadata(self) -> Any:
        outcome = self._finish()
        if outcome.trailing or outcome.rejected_by or self._current is None:
            return outcome.trailing
        return self._current.trailing_metadata()

    def code(self) -> grpc.StatusCode:
        return STATUS[self._finish().code]

    def details(self) -> str:
        return self._finish().details

    def debug_error_string(self) -> str:
        outcome = self._finish()
        known = getattr(outcome.error, "debug_error_string", None)
        return outcome.details if known is None else str(known())

    # grpc.Future

    def done(self) -> bool:
        return self._ending.outcome is not None

    def running(self) -> bool:
        return self._ending.outcome is None

    def cancelled(self) -> bool:
        return self._ending.outcome is CANCELLED

    def exception(self, timeout: float | None = None) -> Exception | None:
        outcome = self._finish(timeout)
        if outcome is CANCELLED:
            raise grpc.FutureCancelledError
        return error_of(outcome) if outcome.code else None

    def traceback(self, timeout: float | None = None) -> TracebackType | None:
        error = self.exception(timeout)
        return None if error is None else error.__traceback__

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        if not self._ending.when(lambda: callback(self)):
            callback(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._ending!r}>"
