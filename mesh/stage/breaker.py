"""When to stop calling a method of a target that keeps failing."""

from __future__ import annotations

from typing import Any, Final

from mesh.call import Call, Code, Outcome
from mesh.contract import Stage
from mesh.mechanism.breaker import Circuit, CircuitBreaker
from mesh.policy.breaker import BreakerPolicy, CircuitScope
from mesh.stage.scope import OFF, Scope
from mesh.telemetry.instruments import CIRCUIT_STATE, METHOD, TARGET, Attributes

_GAUGE: Final = {Circuit.CLOSED: 0, Circuit.HALF_OPEN: 1, Circuit.OPEN: 2}

FAILURES: Final = frozenset(
    map(
        int,
        (
            Code.UNKNOWN,
            Code.DEADLINE_EXCEEDED,
            Code.INTERNAL,
            Code.UNAVAILABLE,
            Code.DATA_LOSS,
        ),
    )
)
"""Statuses that speak against the target; the others are healthy answers, but for those that say nothing."""

# "Some resource has been exhausted, perhaps a per-user quota" - google/rpc/code.proto. One user's quota, or one message or
# header that is too large, must not close the method to everybody.
_SILENT: Final = frozenset((int(Code.CANCELLED), int(Code.RESOURCE_EXHAUSTED)))


class Breaker(Stage):
    """Asks the circuit before each attempt and tells it how the attempt ended. Its ticket: the permit, and when."""

    __slots__ = ("_circuit", "_slow", "_where")

    name = "circuit_breaker"

    def __init__(self, circuit: CircuitBreaker, where: str, slow: float) -> None:
        """`slow` is how many seconds make an answer slow."""
        self._circuit = circuit
        self._where = where
        self._slow = slow

    def admit(self, call: Call, now: float) -> Outcome | object:  # noqa: ARG002 - the contract's signature
        permit = self._circuit.try_acquire(now)
        if permit is None:
            wait = self._circuit.retry_after(now)
            return Outcome(
                14, f"circuit open for {self._where}, probes again in {wait:.1f}s", rejected_by=self.name
            )
        return permit, now

    def settle(self, call: Call, ticket: Any, outcome: Outcome, now: float) -> None:
        unheard = (
            outcome.rejected_by
            or outcome.code in _SILENT
            # Whoever may choose a short deadline from outside could otherwise open the circuit for everybody.
            or (outcome.code == 4 and call.hurried)
        )
        ok = None if unheard else outcome.code not in FAILURES
        permit, began = ticket
        # How long a stream goes on is its caller's wish; how soon it begins is the target's doing.
        self._circuit.record(permit, ok, now, slow=(call.opened or now) - began >= self._slow)


def build(scope: Scope) -> Stage | None:
    policy = scope.policy.circuit_breaker
    if policy is None or policy.scope is CircuitScope.ENDPOINT:
        return None

    def make() -> CircuitBreaker:
        return CircuitBreaker(
            consecutive_failures=policy.consecutive_failures,
            failure_ratio=policy.failure_ratio,
            slow_call_ratio=policy.slow_call_ratio,
            minimum_calls=policy.minimum_calls,
            window=policy.window,
            open_for=policy.open_for,
            max_open_for=policy.max_open_for,
            half_open_probes=policy.half_open_probes,
            now=scope.clock(),
        )

    own = policy.scope is CircuitScope.METHOD
    circuit = scope.state.keep(("circuit_breaker", scope.target, scope.method if own else "", policy), make)
    where: Attributes = ((TARGET, scope.target),)
    if own:
        where = ((METHOD, scope.method.lstrip("/")), *where)
    # Each time, not when the circuit is made: a policy that comes back finds the circuit it left.
    scope.telemetry.aggregates.observe(CIRCUIT_STATE, where, lambda: _GAUGE[circuit.state])
    slow = float("inf") if policy.slow_call_ratio is None else policy.slow_call_duration
    return Breaker(circuit, f"{scope.method} at {scope.target}" if own else scope.target, slow)


def describe(scope: Scope) -> str:
    policy = scope.policy.circuit_breaker or BreakerPolicy()
    rules = []
    if policy.consecutive_failures is not None:
        rules.append(f"{policy.consecutive_failures} failures in a row")
    if policy.failure_ratio is not None:
        rules.append(
            f"{policy.failure_ratio:.0%} of at least {policy.minimum_calls} calls in {policy.window:g}s"
        )
    if policy.slow_call_ratio is not None:
        rules.append(
            f"{policy.slow_call_ratio:.0%} slower than {policy.slow_call_duration:g}s"
            f" of at least {policy.minimum_calls} calls in {policy.window:g}s"
        )
    about = "" if policy.scope is CircuitScope.METHOD else "one circuit for all methods of the target; "
    return (
        f"{about}opens after {' or '.join(rules)}; rejects for {policy.open_for:g}s to {policy.max_open_for:g}s; "
        f"{policy.half_open_probes} probe{'s' if policy.half_open_probes > 1 else ''}"
    )


def absent(scope: Scope) -> str:
    """Say why there is no circuit."""
    if scope.policy.circuit_breaker is not None:
        return "about single endpoints, as outlier detection of the channel: gRPC's core ejects what fails"
    return OFF
