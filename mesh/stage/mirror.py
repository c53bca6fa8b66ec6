"""Which requests are copied to another target, and how many copies are in flight at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mesh.call import Call, Direction, Outcome
from mesh.contract import Stage
from mesh.policy.mirror import MirrorPolicy
from mesh.stage.copier import ANSWERED, FAILED, Copier, Copy
from mesh.stage.scope import OFF, Scope
from mesh.telemetry.aggregate import Number
from mesh.telemetry.instruments import CLIENT_MIRRORED, METHOD, RESULT, TARGET

MARK: Final = ("mesh-mirrored", "1")
"""Metadata of every copy: a server can tell that nobody waits for its answer."""

_DROPPED: Final = "dropped"
_SENT: Final = Direction.SENT  # looking up a member of an enum costs 0.1 us on 3.11


class Copies:
    """The copies of one method's requests: how many are in flight, and what became of the others."""

    __slots__ = ("_results", "in_flight")

    def __init__(self, counter: Callable[[str], Number]) -> None:
        self.in_flight = 0
        self._results = {result: counter(result) for result in (ANSWERED, FAILED, _DROPPED)}

    def try_begin(self, most: int) -> bool:
        """Count a copy as in flight; one too many is dropped."""
        if self.in_flight >= most:
            self._results[_DROPPED].value += 1
            return False
        self.in_flight += 1
        return True

    def end(self, result: str) -> None:
        self.in_flight -= 1
        self._results[result].value += 1

    def __repr__(self) -> str:
        return f"<Copies {self.in_flight} in flight>"


class Mirror(Stage):
    """Copies the single request of a share of the calls. What becomes of a copy, no call ever learns."""

    __slots__ = ("_copier", "_copies", "_policy", "_random")

    name = "mirror"

    def __init__(
        self, policy: MirrorPolicy, copies: Copies, copier: Copier, random: Callable[[], float]
    ) -> None:
        self._policy = policy
        self._copies = copies
        self._copier = copier
        self._random = random

    def admit(self, call: Call, now: float) -> Outcome | object:  # noqa: ARG002 - the contract's signature
        return self._random() < self._policy.share

    def message(
        self,
        call: Call,
        ticket: Any,
        message: Any,
        direction: Direction,
        now: float,  # noqa: ARG002 - the contract's signature
    ) -> Outcome | None:
        policy = self._policy
        if direction is _SENT and ticket and self._copies.try_begin(policy.max_in_flight):
            metadata = (*call.metadata, *call.outgoing, MARK)
            self._copier.send(
                Copy(
                    policy.target,
                    call.method,
                    call.arity,
                    message,
                    metadata,
                    policy.timeout,
                    self._copies.end,
                )
            )
        return None


def build(scope: Scope) -> Stage | None:
    policy, copier = scope.policy.mirror, scope.copier
    if policy is None or copier is None or scope.arity.request_streams:
        return None

    def counter(result: str) -> Number:
        if scope.policy.metrics is None:
            return Number()
        where = ((METHOD, scope.method.lstrip("/")), (TARGET, scope.target), (RESULT, result))
        return scope.telemetry.aggregates.number(CLIENT_MIRRORED, where)

    copies = scope.state.keep(("mirror", scope.target, scope.method, policy), lambda: Copies(counter))
    return Mirror(policy, copies, copier, scope.random)


def describe(scope: Scope) -> str:
    policy = scope.policy.mirror
    if policy is None:
        return ""
    return (
        f"copies {policy.share * 100:.4g}% of requests to {policy.target}, at most {policy.max_in_flight} in flight, "
        f"{policy.timeout:g}s each"
    )


def absent(scope: Scope) -> str:
    """Say why nothing is copied."""
    if scope.policy.mirror is None:
        return OFF
    if scope.arity.request_streams:
        return "streams of requests are not copied"
    return "only mesh.channel, mesh.sync.channel and the gateway send copies"
