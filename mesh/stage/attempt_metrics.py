"""What is counted of each attempt on the wire: how long it took, by status."""

from __future__ import annotations

from typing import Any

from mesh.call import CODE_NAMES, Call, Outcome
from mesh.contract import Stage
from mesh.stage.scope import Scope
from mesh.telemetry import instruments
from mesh.telemetry.durations import Durations
from mesh.telemetry.instruments import Attributes


class AttemptMetrics(Stage):
    """Times each attempt once, however it ended. Its ticket is when the attempt began."""

    __slots__ = ("_durations",)

    name = "attempt_metrics"

    def __init__(self, durations: Durations) -> None:
        self._durations = durations

    def admit(self, call: Call, now: float) -> Outcome | object:  # noqa: ARG002 - the contract's signature
        return now

    def settle(self, call: Call, ticket: Any, outcome: Outcome, now: float) -> None:  # noqa: ARG002 - the contract's signature
        if not outcome.rejected_by:
            self._durations[outcome.code].record(now - ticket)


def build(scope: Scope) -> Stage | None:
    if scope.policy.metrics is None:
        return None
    method, target = scope.method.lstrip("/"), scope.target

    def attributes(code: int) -> Attributes:
        return (
            (instruments.GRPC_METHOD, method),
            (instruments.GRPC_TARGET, target),
            (instruments.GRPC_STATUS, CODE_NAMES[code]),
        )

    return AttemptMetrics(scope.telemetry.durations(instruments.CLIENT_ATTEMPT_DURATION, attributes))


def describe(scope: Scope) -> str:  # noqa: ARG001 - every slot has one
    return "grpc.client.attempt.duration by status"
