"""Whether another attempt joins those that run, and when: policy, latency, the server's wish, deadline, budget."""

from __future__ import annotations

from typing import Final

from mesh.call import CODE_NAMES, Call, Outcome
from mesh.contract import Hedge
from mesh.mechanism.budget import RetryBudget
from mesh.mechanism.hedge import FixedDelay, PercentileDelay, after_failure, wait
from mesh.policy.hedge import HedgePolicy
from mesh.stage import repetition
from mesh.stage.scope import OFF, Scope
from mesh.telemetry.aggregate import Number
from mesh.telemetry.instruments import CLIENT_HEDGES, METHOD, RESULT, TARGET

_STOPPED: Final = -1
"""What `Call.pushed_back` is once a server asked for no further attempt."""


class Counters:
    """What became of a method's hedges."""

    __slots__ = ("refused", "started", "won")

    def __init__(self, *, started: Number, won: Number, refused: Number) -> None:
        self.started = started
        self.won = won
        self.refused = refused

    def __repr__(self) -> str:
        return f"<Counters {self.started.value} started, {self.won.value} won, {self.refused.value} refused>"


class Hedges(Hedge):
    """Decides about further attempts of one method's calls."""

    __slots__ = ("_budget", "_codes", "_counters", "_delay", "_keyed_only", "_max_attempts")

    def __init__(
        self,
        policy: HedgePolicy,
        delay: FixedDelay | PercentileDelay,
        budget: RetryBudget,
        counters: Counters,
        *,
        keyed_only: bool,
    ) -> None:
        """Hedge; `keyed_only`: only requests with an idempotency key."""
        self._max_attempts = policy.max_attempts
        self._codes = policy.non_fatal_codes
        self._delay = delay
        self._budget = budget
        self._counters = counters
        self._keyed_only = keyed_only

    def covers(self, call: Call) -> bool:
        return call.replayable and (not self._keyed_only or repetition.is_keyed(call))

    def begin(self, call: Call, now: float) -> None:  # noqa: ARG002 - the contract's signature
        self._budget.deposit(now)

    def wait(self, call: Call, now: float) -> float | None:
        return wait(
            attempt=call.attempt,
            max_attempts=self._max_attempts,
            delay=self._delay.delay(),
            remaining=_room(call, now),
        )

    def try_another(self, call: Call, now: float) -> bool:  # noqa: ARG002 - the contract's signature
        if not self._budget.try_withdraw(now):
            self._counters.refused.value += 1
            return False
        self._counters.started.value += 1
        return True

    def retry(self, call: Call, outcome: Outcome, now: float) -> float | None:
        wanted = repetition.pushback(outcome.trailing)
        if wanted is not None and wanted < 0.0:
            call.pushed_back = _STOPPED
        if call.pushed_back == _STOPPED:
            return None
        return after_failure(
            attempt=call.attempt,
            max_attempts=self._max_attempts,
            pushback=wanted,
            remaining=_room(call, now),
        )

    def decides(self, outcome: Outcome) -> bool:
        return outcome.code not in self._codes

    def observe(self, number: int, seconds: float, outcome: Outcome) -> None:
        # A failure says little about how long answers take, and a caller who left nothing. An attempt that lost would teach
        # the delay to wait for what hedging is there to overtake (ADR 10).
        if number == 1:
            if outcome.code in {0, 4}:
                self._delay.record(seconds, cut_off=outcome.code != 0)
        elif outcome.code == 0:
            self._counters.won.value += 1


def _room(call: Call, now: float) -> float | None:
    """Return the seconds left for an attempt to start in."""
    remaining = call.remaining(now)
    return None if remaining is None else remaining - call.least


def build(scope: Scope) -> Hedge | None:
    policy = scope.policy.hedge
    if policy is None or not repetition.is_hedged(scope):
        return None

    def make() -> FixedDelay | PercentileDelay:
        if policy.delay is not None:
            return FixedDelay(seconds=policy.delay)
        return PercentileDelay(
            percentile=policy.percentile, minimum_calls=policy.minimum_calls, least=policy.min_delay
        )

    def counter(result: str) -> Number:
        if scope.policy.metrics is None:
            return Number()
        where = ((METHOD, scope.method.lstrip("/")), (TARGET, scope.target), (RESULT, result))
        return scope.telemetry.aggregates.number(CLIENT_HEDGES, where)

    # What is known about latency outlives a change of anything else.
    terms = policy.delay, policy.percentile, policy.minimum_calls, policy.min_delay
    return Hedges(
        policy,
        scope.state.keep(("hedge", scope.target, scope.method, terms), make),
        repetition.budget(scope, policy.budget),
        Counters(started=counter("started"), won=counter("won"), refused=counter("refused")),
        keyed_only=not repetition.is_repeatable(scope, every_method=policy.every_method),
    )


def describe(scope: Scope) -> str:
    policy = scope.policy.hedge or HedgePolicy()
    codes = ", ".join(CODE_NAMES[code] for code in sorted(policy.non_fatal_codes))
    if policy.delay is None:
        delay = (
            f"after p{policy.percentile:g} of its latency, at least {policy.min_delay:g}s, "
            f"once {policy.minimum_calls} answers are seen"
        )
    elif policy.delay:
        delay = f"each {policy.delay:g}s after the one before"
    else:
        delay = "all at once"
    text = (
        f"up to {policy.max_attempts} attempts, {delay}; {codes} does not decide "
        f"({repetition.why(scope, every_method=policy.every_method)}); {repetition.describe_budget(policy.budget)}"
    )
    if scope.arity.request_streams:
        text += "; inert unless the requests are a list or tuple"
    return text


def absent(scope: Scope) -> str:
    """Say why there is no hedging."""
    if scope.policy.hedge is None:
        return OFF
    return "the proto does not say the method is idempotent (idempotency_level), and scope is not ALL"
