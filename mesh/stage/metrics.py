"""What is counted of each call: how long it took by status, how many are in flight, who refused it."""

from __future__ import annotations

from typing import Any, Final

from mesh.call import CODE_NAMES, Call, Outcome, Side
from mesh.contract import Stage
from mesh.stage.scope import Scope
from mesh.telemetry import instruments
from mesh.telemetry.aggregate import Aggregates, Number
from mesh.telemetry.durations import Durations
from mesh.telemetry.instruments import Attributes, Instrument

# "The following status codes SHOULD be considered errors" on servers: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED,
# INTERNAL, UNAVAILABLE, DATA_LOSS; on clients: "All status codes except OK." - semantic conventions for gRPC
SERVER_ERRORS: Final = frozenset({2, 4, 12, 13, 14, 15})
CLIENT_ERRORS: Final = frozenset(range(1, 17))


class Metrics(Stage):
    """Counts each call once, however it ended."""

    __slots__ = ("_active", "_aggregates", "_durations", "_refused", "_where")

    name = "metrics"

    def __init__(
        self,
        *,
        active: Number,
        durations: Durations,
        aggregates: Aggregates,
        refused: Instrument,
        where: Attributes,
    ) -> None:
        self._active = active
        self._durations = durations
        self._aggregates = aggregates
        self._refused = refused
        self._where = where

    def admit(self, call: Call, now: float) -> Outcome | object:  # noqa: ARG002 - the contract's signature
        self._active.value += 1
        return None

    def settle(self, call: Call, ticket: Any, outcome: Outcome, now: float) -> None:  # noqa: ARG002 - the contract's signature
        self._active.value -= 1
        self._durations[outcome.code].record(now - call.started)
        if outcome.rejected_by:
            by = (*self._where, (instruments.REJECTED_BY, outcome.rejected_by))
            self._aggregates.number(self._refused, by).value += 1


def errors(side: Side) -> frozenset[int]:
    """Return the statuses that are errors of the side that reports them."""
    return CLIENT_ERRORS if side is Side.CLIENT else SERVER_ERRORS


def build(scope: Scope) -> Stage | None:
    if scope.policy.metrics is None:
        return None
    client = scope.side is Side.CLIENT
    failures = errors(scope.side)
    where = (
        (instruments.SYSTEM, "grpc"),
        (instruments.METHOD, scope.method.lstrip("/")),
        (instruments.TARGET, scope.target),
    )

    def attributes(code: int) -> Attributes:
        status = CODE_NAMES[code]
        labels = (*where, (instruments.STATUS_CODE, status))
        return (*labels, (instruments.ERROR_TYPE, status)) if code in failures else labels

    aggregates = scope.telemetry.aggregates
    return Metrics(
        active=aggregates.number(
            instruments.CLIENT_ACTIVE_CALLS if client else instruments.SERVER_ACTIVE_CALLS, where
        ),
        durations=scope.telemetry.durations(
            instruments.CLIENT_CALL_DURATION if client else instruments.SERVER_CALL_DURATION, attributes
        ),
        aggregates=aggregates,
        refused=instruments.CLIENT_REJECTIONS if client else instruments.SERVER_REJECTIONS,
        where=where,
    )


def describe(scope: Scope) -> str:
    side = scope.side.value
    return f"rpc.{side}.call.duration by status, mesh.{side}.active_calls, mesh.{side}.rejections by stage"
