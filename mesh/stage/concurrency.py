"""How many calls may be in flight: attempts from this client, or calls handled by this server."""

from __future__ import annotations

from typing import Any, Final

from mesh.call import Arity, Call, Code, Outcome, Priority, Side
from mesh.contract import Stage
from mesh.mechanism.aimd import Aimd
from mesh.mechanism.concurrency import ConcurrencyLimit, Mover
from mesh.mechanism.gradient import Gradient
from mesh.policy.concurrency import AdaptivePolicy, Algorithm, ConcurrencyPolicy
from mesh.stage import refusal
from mesh.stage.scope import Scope
from mesh.telemetry import instruments
from mesh.telemetry.instruments import METHOD, TARGET, Attributes

OVERLOAD: Final = frozenset(map(int, (Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE)))
"""Statuses that are signs of too much work."""

# CANCELLED is the caller's doing, and a bug's UNKNOWN or INTERNAL comes sooner or later than an answer would have.
_SILENT: Final = frozenset(map(int, (Code.CANCELLED, Code.UNKNOWN, Code.INTERNAL, Code.DATA_LOSS)))

_SOONEST: Final = 0.01
_LATEST: Final = 5.0
"""Bounds of the seconds after which a refused call is asked to come back."""

_REFRESH: Final = 0.1
"""Seconds a refusal is handed out again before it is made anew: under overload refusing is the hot path."""


_NEVER: Final = float("-inf"), Outcome(0)


class Concurrency(Stage):
    """Takes a slot for the attempt or call, and gives it back however it ended. Its ticket is when it was taken."""

    __slots__ = ("_learns", "_limit", "_refusals", "_server", "_where", "name")

    def __init__(self, name: str, limit: ConcurrencyLimit, where: str, *, learns: bool, server: bool) -> None:
        """`learns`: the calls' durations say something about load; `server`: refusals say when to come back."""
        self.name = name
        self._limit = limit
        self._where = where
        self._learns = learns
        self._server = server
        self._refusals: dict[int, tuple[float, Outcome]] = {}

    def admit(self, call: Call, now: float) -> Outcome | object:
        return now if self._limit.try_acquire(call.priority) else self._refuse(call.priority, now)

    def settle(self, call: Call, ticket: Any, outcome: Outcome, now: float) -> None:
        code = outcome.code
        unheard = (
            not self._learns
            or outcome.rejected_by
            or code in _SILENT
            # Whoever may choose a short deadline from outside could otherwise lower the limit for everybody.
            or (code == 4 and call.hurried)
        )
        ok = None if unheard else code not in OVERLOAD
        # How long a stream goes on is its caller's wish; how soon it begins is the target's doing.
        self._limit.release(ticket, ok, now, call.opened)

    def _refuse(self, priority: Priority, now: float) -> Outcome:
        due, refused = self._refusals.get(priority, _NEVER)
        if not 0.0 <= due - now <= _REFRESH:
            limit = self._limit
            details = f"{self._where} has {limit.in_flight} in flight, the limit"
            if limit.in_flight < limit.limit:
                details += f" of {priority.name.lower()} priority (of {limit.limit} in all)"
            if self._server:
                wait = min(_LATEST, max(_SOONEST, limit.duration))
                refused = refusal.exhausted(details, wait, self.name)
            else:
                refused = Outcome(8, details, rejected_by=self.name)
            self._refusals[priority] = now + _REFRESH, refused
        return refused


def _policy(scope: Scope) -> ConcurrencyPolicy | None:
    client = scope.side is Side.CLIENT
    return scope.policy.client_concurrency if client else scope.policy.server_concurrency


def _learns(scope: Scope) -> bool:
    """Whether durations of this method's calls say something about load.

    How fast requests of a stream are written is the client's doing, and a server does not see when a stream of responses
    begins.
    """
    return scope.arity is Arity.UNARY_UNARY or (
        scope.arity is Arity.UNARY_STREAM and scope.side is Side.CLIENT
    )


def _adaptive(scope: Scope, policy: ConcurrencyPolicy) -> AdaptivePolicy | None:
    """Return what moves the limit. One that nothing ever teaches would stay where it starts: then there is none."""
    return policy.adaptive if policy.every_method or _learns(scope) else None


def _make(policy: ConcurrencyPolicy, adaptive: AdaptivePolicy | None, now: float) -> ConcurrencyLimit:
    shares = (policy.low_share, policy.normal_share, 1.0)
    if adaptive is None:
        return ConcurrencyLimit(limit=policy.max_in_flight, shares=shares)
    mover: Mover
    if adaptive.algorithm is Algorithm.AIMD:
        mover = Aimd(
            initial=adaptive.initial_in_flight,
            least=adaptive.min_in_flight,
            most=policy.max_in_flight,
            ratio=adaptive.backoff_ratio,
            threshold=adaptive.latency_threshold,
            now=now,
        )
    else:
        mover = Gradient(
            initial=adaptive.initial_in_flight,
            least=adaptive.min_in_flight,
            most=policy.max_in_flight,
            tolerance=adaptive.tolerance,
            now=now,
        )
    return ConcurrencyLimit(limit=mover.limit, shares=shares, mover=mover)


def build(scope: Scope) -> Stage | None:
    policy = _policy(scope)
    if policy is None:
        return None
    server = scope.side is Side.SERVER
    name = f"{scope.side.value}_concurrency"
    own = "" if policy.every_method else scope.method
    adaptive = _adaptive(scope, policy)
    limit = scope.state.keep(
        (name, scope.target, own, policy), lambda: _make(policy, adaptive, scope.clock())
    )
    where: Attributes = ((TARGET, scope.target),)
    if own:
        where = ((METHOD, own.lstrip("/")), *where)
    observe = scope.telemetry.aggregates.observe
    # Each time, not when the limit is made: a policy that comes back finds the limit it left.
    observe(
        instruments.SERVER_CONCURRENCY_LIMIT if server else instruments.CLIENT_CONCURRENCY_LIMIT,
        where,
        lambda: limit.limit,
    )
    observe(
        instruments.SERVER_CONCURRENCY_IN_FLIGHT if server else instruments.CLIENT_CONCURRENCY_IN_FLIGHT,
        where,
        lambda: limit.in_flight,
    )
    return Concurrency(name, limit, own or scope.target, learns=_learns(scope), server=server)


def describe(scope: Scope) -> str:
    policy = _policy(scope) or ConcurrencyPolicy()
    adaptive = _adaptive(scope, policy)
    if adaptive is None:
        text = f"at most {policy.max_in_flight} in flight"
        if policy.adaptive is not None:
            text += ", fixed: durations of streams say nothing about load"
    else:
        text = (
            f"{adaptive.min_in_flight} to {policy.max_in_flight} in flight, from {adaptive.initial_in_flight}, "
            f"moved by {adaptive.algorithm.value}"
        )
        if adaptive.algorithm is Algorithm.GRADIENT:
            text += f" (tolerates {adaptive.tolerance:g} times the latency without a queue)"
        else:
            over = adaptive.latency_threshold
            sign = "at a failure" if over is None else f"at a failure or above {over:g}s"
            text += f" (times {adaptive.backoff_ratio:g} {sign})"
    if policy.every_method:
        text += ", all methods together"
    if scope.policy.priority is not None:
        return text + f"; low priority fills {policy.low_share:.0%} of it, normal {policy.normal_share:.0%}"
    if policy.normal_share < 1.0:
        text += f"; {policy.normal_share:.0%} of it is filled: without `priority` all requests are normal"
    if policy.low_share != ConcurrencyPolicy().low_share:
        text += "; low_share is inert without `priority`"
    return text
