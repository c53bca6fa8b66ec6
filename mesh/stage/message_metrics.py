"""What is counted of streams: their messages, by direction."""

from __future__ import annotations

from typing import Any, Final

from mesh.call import Arity, Call, Direction, Outcome, Side
from mesh.contract import Stage
from mesh.stage.scope import OFF, Scope
from mesh.telemetry import instruments
from mesh.telemetry.aggregate import Number

_SENT: Final = Direction.SENT  # looking up a member of an enum costs 0.1 us on 3.11


class MessageMetrics(Stage):
    """Counts each message once, also one that another stage refuses."""

    __slots__ = ("_received", "_sent")

    name = "message_metrics"

    def __init__(self, *, sent: Number, received: Number) -> None:
        self._sent = sent
        self._received = received

    def message(
        self,
        call: Call,  # noqa: ARG002 - the contract's signature
        ticket: Any,  # noqa: ARG002
        message: Any,  # noqa: ARG002
        direction: Direction,
        now: float,  # noqa: ARG002
    ) -> Outcome | None:
        (self._sent if direction is _SENT else self._received).value += 1
        return None


def build(scope: Scope) -> Stage | None:
    policy = scope.policy.metrics
    if policy is None or not policy.messages or scope.arity is Arity.UNARY_UNARY:
        return None
    instrument = instruments.CLIENT_MESSAGES if scope.side is Side.CLIENT else instruments.SERVER_MESSAGES
    where = (
        (instruments.SYSTEM, "grpc"),
        (instruments.METHOD, scope.method.lstrip("/")),
        (instruments.TARGET, scope.target),
    )
    number = scope.telemetry.aggregates.number
    return MessageMetrics(
        sent=number(instrument, (*where, (instruments.DIRECTION, Direction.SENT.value))),
        received=number(instrument, (*where, (instruments.DIRECTION, Direction.RECEIVED.value))),
    )


def describe(scope: Scope) -> str:
    return f"mesh.{scope.side.value}.messages by direction"


def absent(scope: Scope) -> str:
    """Say why a method's chain has no such stage."""
    policy = scope.policy.metrics
    if policy is not None and policy.messages and scope.arity is Arity.UNARY_UNARY:
        return "the method has no stream"
    return OFF
