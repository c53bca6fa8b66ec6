"""How grpc's errors and our outcomes translate into each other."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final

import grpc
import grpc.aio

from mesh.call import Outcome

STATUS: Final[dict[int, grpc.StatusCode]] = {code.value[0]: code for code in grpc.StatusCode}
_NUMBER: Final[dict[grpc.StatusCode, int]] = {code: code.value[0] for code in grpc.StatusCode}


CANCELLED: Final = Outcome(1, "Locally cancelled by application!")
"""How a call ends that its caller has cancelled, in the words of grpc; told by its identity, since servers cancel as well."""


def outcome_of(error: grpc.aio.AioRpcError) -> Outcome:
    """Return how a client's attempt ended that raised this."""
    trailing = tuple((key, value) for key, value in error.trailing_metadata() or ())
    return Outcome(_NUMBER[error.code()], error.details() or "", error=error, trailing=trailing)


def rpc_error(outcome: Outcome) -> BaseException:
    """Return the error a caller should see: grpc's own where the wire answered, a new one where we did."""
    if outcome.error is not None and isinstance(outcome.error, grpc.RpcError):
        return outcome.error
    trailing = grpc.aio.Metadata(*outcome.trailing)
    return grpc.aio.AioRpcError(STATUS[outcome.code], grpc.aio.Metadata(), trailing, outcome.details)


def number_of(code: grpc.StatusCode | int | None) -> int:
    """Return a servicer context's code as a number; OK when the handler set none."""
    if code is None:
        return 0
    return code if type(code) is int else _NUMBER.get(code, 2)  # type: ignore[arg-type]  # narrowed by the line


def at_once(reading: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns that has nothing to wait for, as those that read an ended call of grpc.aio."""
    try:
        reading.send(None)
    except StopIteration as stop:
        return stop.value
    reading.close()
    raise RuntimeError("grpc.aio waited where it has nothing to wait for")
