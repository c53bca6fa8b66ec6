"""How long a call may take: the caller's timeout, the policy's default and cap, and what is left upstream."""

from __future__ import annotations

from mesh.call import Call, Outcome, Side
from mesh.contract import Stage
from mesh.policy.deadline import UNARY_TIMEOUT, DeadlinePolicy
from mesh.stage.scope import Scope


class Deadline(Stage):
    """Sets `call.deadline`, from which every attempt takes its timeout.

    The binding sends it as the call's own `timeout=`: a service config's timeout fires early in gRPC's core and never
    reaches the server (grpc/grpc#34547).
    """

    __slots__ = ("_default", "_hurry", "_inherits", "_least", "_most", "_reserve")

    name = "deadline"

    def __init__(self, policy: DeadlinePolicy, *, response_streams: bool, side: Side) -> None:
        default = policy.default_timeout
        self._default = UNARY_TIMEOUT if default is None and not response_streams else default
        self._hurry = float("inf") if self._default is None else self._default / 2
        self._most = policy.max_timeout
        self._reserve = policy.hop_reserve
        self._inherits = side is Side.CLIENT
        self._least = policy.min_attempt_time if self._inherits else 0.0

    def admit(self, call: Call, now: float) -> Outcome | object:
        timeout = self._default if call.timeout is None else call.timeout
        if self._most is not None and (timeout is None or timeout > self._most):
            timeout = self._most
        deadline = None if timeout is None else now + timeout
        # A server's caller chose what came over the wire; a client's timeout is this side's own. Between services that
        # share defaults each hop gets a little less than the last: that is no hurry.
        hurried = (
            not self._inherits and timeout is not None and timeout == call.timeout and timeout < self._hurry
        )
        parent = call.parent
        if self._inherits and parent is not None and parent.deadline is not None:
            inherited = parent.deadline - self._reserve
            if deadline is None or inherited <= deadline:
                deadline, hurried = inherited, parent.hurried
        call.deadline, call.hurried, call.least = deadline, hurried, self._least
        if deadline is not None and deadline - now <= self._least:
            return Outcome(4, "no time is left for this call", rejected_by=self.name)
        return None


def build(scope: Scope) -> Stage | None:
    policy = scope.policy.deadline
    if policy is None and scope.side is Side.SERVER:
        return None
    # Switched off, there is neither default nor cap; a client still owes its callee what is left upstream.
    off = policy is None
    return Deadline(
        policy or DeadlinePolicy(), response_streams=off or scope.arity.response_streams, side=scope.side
    )


def describe(scope: Scope) -> str:
    policy = scope.policy.deadline
    if policy is None:
        return "no default, no cap; what the caller allows and what is left upstream"
    default = policy.default_timeout
    if default is None and not scope.arity.response_streams:
        default = UNARY_TIMEOUT
    parts = ["no default" if default is None else f"default {default:g}s"]
    if policy.max_timeout is not None:
        parts.append(f"at most {policy.max_timeout:g}s")
    if policy.hop_reserve and scope.side is Side.CLIENT:  # it is kept back by whoever calls on
        parts.append(f"{policy.hop_reserve:g}s kept back on each hop")
    if policy.min_attempt_time and scope.side is Side.CLIENT:
        parts.append(f"no attempt with less than {policy.min_attempt_time:g}s left")
    return ", ".join(parts)
