"""How many calls may be in flight: attempts from this client, or calls handled by this server."""

from __future__ import annotations

from typing import Any

from mesh.call import Call, Outcome, Side
from mesh.engine import Stage
from mesh.mechanism.concurrency import ConcurrencyLimit
from mesh.policy.concurrency import ConcurrencyPolicy
from mesh.stage.scope import Scope


class Concurrency(Stage):
    """Takes a slot for the attempt or call, and gives it back however it ended."""

    __slots__ = ("_limit", "_rejection", "name")

    def __init__(self, name: str, limit: ConcurrencyLimit, where: str, most: int) -> None:
        self.name = name
        self._limit = limit
        self._rejection = Outcome(8, f"{where} has {most} in flight, the limit", rejected_by=name)

    def admit(self, call: Call, now: float) -> Outcome | object:  # noqa: ARG002 - the contract's signature
        return None if self._limit.try_acquire() else self._rejection

    def settle(self, call: Call, ticket: Any, outcome: Outcome, now: float) -> None:  # noqa: ARG002 - the contract's signature
        self._limit.release()


def _policy(scope: Scope) -> ConcurrencyPolicy | None:
    client = scope.side is Side.CLIENT
    return scope.policy.client_concurrency if client else scope.policy.server_concurrency


def build(scope: Scope) -> Stage | None:
    policy = _policy(scope)
    if policy is None:
        return None
    name = f"{scope.side.value}_concurrency"
    limit = scope.state.keep(
        (name, scope.target, scope.method, policy), lambda: ConcurrencyLimit(limit=policy.max_in_flight)
    )
    return Concurrency(name, limit, scope.method, policy.max_in_flight)


def describe(scope: Scope) -> str:
    policy = _policy(scope) or ConcurrencyPolicy()
    return f"at most {policy.max_in_flight} in flight"
