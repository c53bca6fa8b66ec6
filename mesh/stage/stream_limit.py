"""How long a stream may be quiet, and how long it may live."""

from __future__ import annotations

from typing import Any, Final

from mesh.call import Arity, Call, Direction, Outcome
from mesh.contract import Stage
from mesh.mechanism.stream_clock import Over, StreamClock
from mesh.policy.stream import StreamPolicy
from mesh.stage.scope import OFF, Scope

NAME: Final = "stream_limit"


class StreamWatch:
    """Says when one stream must end, and how. The binding asks it, from a timer."""

    __slots__ = ("_clock", "_endings")

    def __init__(self, clock: StreamClock, endings: dict[Over, Outcome]) -> None:
        self._clock = clock
        self._endings = endings

    def note(self, now: float) -> None:
        """Learn of a message."""
        self._clock.note(now)

    @property
    def due(self) -> float:
        """When to look next."""
        return self._clock.due

    def look(self, now: float) -> Outcome | None:
        """Return how the stream ends, if it must end now."""
        over = self._clock.over(now)
        return None if over is None else self._endings[over]

    def __repr__(self) -> str:
        return f"<StreamWatch {self._clock!r}>"


class StreamLimit(Stage):
    """Has every stream watched. The ticket is its watch."""

    __slots__ = ("_endings", "_policy")

    name = NAME

    def __init__(self, policy: StreamPolicy) -> None:
        self._policy = policy
        # "ABORTED if the client should retry at a higher level" - google/rpc/code.proto. Breakers take it for an answer.
        self._endings = {
            Over.IDLE: Outcome(
                10, f"the stream had no message for {policy.idle_timeout}s, its limit", rejected_by=NAME
            ),
            Over.AGE: Outcome(10, f"the stream is {policy.max_age}s old, its limit", rejected_by=NAME),
        }

    def admit(self, call: Call, now: float) -> Outcome | object:  # noqa: ARG002 - the contract's signature
        policy = self._policy
        clock = StreamClock(now=now, idle=policy.idle_timeout, max_age=policy.max_age)
        return StreamWatch(clock, self._endings)

    def message(
        self,
        call: Call,  # noqa: ARG002 - the contract's signature
        ticket: Any,
        message: Any,  # noqa: ARG002
        direction: Direction,  # noqa: ARG002
        now: float,
    ) -> Outcome | None:
        ticket.note(now)
        return None


def build(scope: Scope) -> Stage | None:
    policy = scope.policy.stream
    if policy is None or scope.arity is Arity.UNARY_UNARY:
        return None
    return None if policy.idle_timeout is None and policy.max_age is None else StreamLimit(policy)


def describe(scope: Scope) -> str:
    policy = scope.policy.stream or StreamPolicy()
    parts = []
    if policy.idle_timeout is not None:
        parts.append(f"at most {policy.idle_timeout:g}s without a message")
    if policy.max_age is not None:
        parts.append(f"at most {policy.max_age:g}s in all")
    return ", ".join(parts)


def absent(scope: Scope) -> str:
    """Say why a method's chain has no such stage."""
    if scope.policy.stream is not None and scope.arity is Arity.UNARY_UNARY:
        return "the method has no stream"
    return OFF
