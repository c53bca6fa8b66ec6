"""How a call ended, as what every protocol must say in its own words: code, text, typed details, trailers."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from gateway.edge.header import ResponseHeaders
from gateway.exchange import Exchange
from gateway.problem import RequestProblem
from gateway.render.detail import Find, read_details
from gateway.render.error import note_fault
from gateway.render.status import public_message
from mesh.call import Code, Outcome
from mesh.stage.detail import STATUS_DETAILS

_UNAVAILABLE: Final = int(Code.UNAVAILABLE)
_INTERNAL: Final = int(Code.INTERNAL)


class Ending(NamedTuple):
    """The end of a call. `trailers` are headers, made of the metadata that may pass."""

    code: int = 0
    message: str = ""
    details: tuple[Any, ...] = ()
    """google.protobuf.Any messages."""
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    retry_after: int | None = None
    debug: tuple[dict[str, Any], ...] = ()
    """The details as JSON, in the same order."""
    http_status: int | None = None
    """Where HTTP is more precise than the code (413, 415)."""


OK: Final = Ending()


class Endings:
    """Reads endings; one for each schema, whose types details may have."""

    __slots__ = ("_find", "_return_headers")

    def __init__(self, find: Find, return_headers: ResponseHeaders) -> None:
        self._find = find
        self._return_headers = return_headers

    def outcome(self, exchange: Exchange, outcome: Outcome) -> Ending:
        """Return the end of a call that went out; what went wrong is noted for the log."""
        trailers = tuple(self._return_headers.read(outcome.trailing)) if self._return_headers.any else ()
        if outcome.code == 0:
            return Ending(trailers=trailers)
        exchange.code, exchange.error = outcome.code, outcome.details
        told = read_details(outcome.trailing, self._find)
        return Ending(
            outcome.code,
            public_message(outcome.details, unavailable=outcome.code == _UNAVAILABLE),
            _details(outcome),
            trailers,
            told.retry_after,
            tuple(told.details),
        )

    def problem(self, exchange: Exchange, problem: RequestProblem) -> Ending:
        """Return the end of a request that is refused."""
        exchange.code, exchange.error = problem.code, problem.message
        details: tuple[Any, ...] = ()
        if problem.violations:
            status = status_pb2.Status()
            refused = error_details_pb2.BadRequest()
            for field, description in problem.violations:
                # Text quoted from the request need not be Unicode.
                refused.field_violations.add(field=_text(field), description=_text(description))
            status.details.add().Pack(refused)
            details = tuple(status.details)
        return Ending(problem.code, _text(problem.message), details, http_status=problem.http_status)

    def fault(self, exchange: Exchange, error: Exception) -> Ending:
        """Return the end of a request that an error of ours ended: the client gets the id under which it was logged."""
        return Ending(_INTERNAL, note_fault(exchange, error))

    def __repr__(self) -> str:
        return "<Endings>"


def _details(outcome: Outcome) -> tuple[Any, ...]:
    for key, value in outcome.trailing:
        if key == STATUS_DETAILS and isinstance(value, bytes):
            try:
                return tuple(status_pb2.Status.FromString(value).details)
            except DecodeError:
                return ()
    return ()


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
