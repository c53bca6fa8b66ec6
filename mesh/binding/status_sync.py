"""How the errors of grpc's synchronous API and our outcomes translate into each other."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import grpc

from mesh.binding.status import STATUS, number_of
from mesh.call import Outcome


class EndedCall(grpc.Call, grpc.Future):  # type: ignore[type-arg]  # generic in the stubs only
    """A call that is over and had no wire of its own: refused by a stage, cancelled, or answered by one."""

    def __init__(self, outcome: Outcome, response: Any = None) -> None:
        self._outcome = outcome
        self._response = response

    def code(self) -> grpc.StatusCode:
        return STATUS[self._outcome.code]

    def details(self) -> str:
        return self._outcome.details

    def debug_error_string(self) -> str:
        return self._outcome.details

    def initial_metadata(self) -> tuple[()]:
        return ()

    def trailing_metadata(self) -> Any:
        return self._outcome.trailing

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> None:  # type: ignore[override]  # grpc's own returns None too
        return None

    def add_callback(self, callback: Callable[[], None]) -> bool:  # noqa: ARG002 - grpc's signature
        return False

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return False

    def running(self) -> bool:
        return False

    def done(self) -> bool:
        return True

    def result(self, timeout: float | None = None) -> Any:  # noqa: ARG002 - grpc's signature
        return self._response

    def exception(self, timeout: float | None = None) -> Exception | None:  # noqa: ARG002 - grpc's signature
        return None

    def traceback(self, timeout: float | None = None) -> TracebackType | None:  # noqa: ARG002 - grpc's signature
        return None

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        callback(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._outcome}>"


class EndedRpcError(EndedCall, grpc.RpcError):
    """The error of a call that ended here, with all that applications and their interceptors ask of grpc's own."""

    def __init__(self, outcome: Outcome) -> None:
        EndedCall.__init__(self, outcome)
        grpc.RpcError.__init__(self, f"{STATUS[outcome.code].name}: {outcome.details}")

    def result(self, timeout: float | None = None) -> Any:  # noqa: ARG002 - grpc's signature
        raise self

    def exception(self, timeout: float | None = None) -> Exception | None:  # noqa: ARG002 - grpc's signature
        return self

    def traceback(self, timeout: float | None = None) -> TracebackType | None:  # noqa: ARG002 - grpc's signature
        return self.__traceback__


def outcome_of(error: Exception) -> Outcome:
    """Return how an attempt ended that raised this, or was answered with it."""
    if not isinstance(error, grpc.Call):  # an interceptor of the application's raised something of its own
        return Outcome(2, str(error), error=error)
    trailing = tuple((key, value) for key, value in error.trailing_metadata() or ())
    return Outcome(number_of(error.code()) or 2, error.details() or "", error=error, trailing=trailing)


def error_of(outcome: Outcome) -> Exception:
    """Return the error a caller should see: the one that ended the attempt, a new one where we ended it."""
    if isinstance(outcome.error, Exception) and not outcome.rejected_by:
        return outcome.error
    return EndedRpcError(outcome)
