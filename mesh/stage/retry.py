"""Whether a failed attempt is tried again, and when: policy, idempotency, the server's wish, deadline, budget."""

from __future__ import annotations

from mesh.call import CODE_NAMES, Call, Outcome
from mesh.contract import Random, Retry
from mesh.mechanism.backoff import Backoff
from mesh.mechanism.budget import RetryBudget
from mesh.mechanism.retry import decide
from mesh.policy.retry import RetryPolicy
from mesh.stage import repetition
from mesh.stage.scope import Scope


class Retries(Retry):
    """Decides between two attempts of one method's calls."""

    __slots__ = ("_backoff", "_budget", "_codes", "_keyed_only", "_max_attempts", "attempt_timeout")

    def __init__(
        self, policy: RetryPolicy, budget: RetryBudget, *, attempt_timeout: float | None, keyed_only: bool
    ) -> None:
        """Retry; `keyed_only`: only requests with an idempotency key."""
        self.attempt_timeout = attempt_timeout
        self._keyed_only = keyed_only
        self._max_attempts = policy.max_attempts
        self._codes = policy.codes
        self._budget = budget
        backoff = policy.backoff
        self._backoff = Backoff(
            base=backoff.base, multiplier=backoff.multiplier, max=backoff.max, jitter=backoff.jitter
        )

    def begin(self, call: Call, now: float) -> None:
        if not self._keyed_only or (call.metadata and repetition.is_keyed(call)):
            self._budget.deposit(now)

    def delay(self, call: Call, outcome: Outcome, now: float, random: Random) -> float | None:
        if outcome.rejected_by or not call.replayable or not self._retryable(outcome.code):
            return None
        if self._keyed_only and not repetition.is_keyed(call):
            return None
        wanted = repetition.pushback(outcome.trailing)
        remaining = call.remaining(now)
        delay = decide(
            attempt=call.attempt,
            max_attempts=self._max_attempts,
            retryable=True,
            pushback=wanted,
            remaining=None if remaining is None else remaining - call.least,
            backoff=self._backoff,
            budget=self._budget,
            u=random(),
            now=now,
            pushed_back=call.pushed_back,
            waited=call.waited,
        )
        if wanted is not None:
            call.pushed_back = call.attempt
        if delay is not None:
            call.waited = delay
        return delay

    def _retryable(self, code: int) -> bool:
        # Of an attempt with a timeout of its own DEADLINE_EXCEEDED is no last word: whether time is left on the call, the
        # decision asks next. Its server may be the one that says so, a moment before our own clock does.
        return code in self._codes or (code == 4 and self.attempt_timeout is not None)


def build(scope: Scope) -> Retry | None:
    policy = scope.policy.retry
    if policy is None or repetition.is_hedged(scope):
        return None
    repeatable = repetition.is_repeatable(scope, every_method=policy.every_method)
    if not repeatable and not policy.idempotency_key:
        return None
    return Retries(
        policy,
        repetition.budget(scope, policy.budget),
        attempt_timeout=_attempt_timeout(scope, policy),
        keyed_only=not repeatable,
    )


def _attempt_timeout(scope: Scope, policy: RetryPolicy) -> float | None:
    """Return the time of one attempt: None where it would only cut short what is not tried again.

    That is a method whose calls are retried by key alone; and a stream of responses, which gRPC ends at an attempt's
    timeout however much of it has come.
    """
    repeatable = repetition.is_repeatable(scope, every_method=policy.every_method)
    return policy.attempt_timeout if repeatable and not scope.arity.response_streams else None


def describe(scope: Scope) -> str:
    policy = scope.policy.retry or RetryPolicy()
    codes = ", ".join(CODE_NAMES[code] for code in sorted(policy.codes))
    backoff = policy.backoff
    growth = "" if backoff.jitter.value == "decorrelated" else f" x{backoff.multiplier:g}"
    text = (
        f"{policy.max_attempts} attempts on {codes} ({repetition.why(scope, every_method=policy.every_method)}); "
        f"waits {backoff.base:g}s to {backoff.max:g}s{growth}, {backoff.jitter.value} jitter; "
        f"{repetition.describe_budget(policy.budget)}"
    )
    timeout = _attempt_timeout(scope, policy)
    if timeout is not None:
        text += f"; {timeout:g}s for each attempt"
    elif policy.attempt_timeout is not None:
        text += "; attempt_timeout is inert here"
    if scope.arity.request_streams:
        text += "; inert unless the requests are a list or tuple"
    return text


def absent(scope: Scope) -> str:
    """Say why there is no retry."""
    if scope.policy.retry is None:
        return "switched off"
    if repetition.is_hedged(scope):
        return "hedge takes its place"
    return "the proto does not say the method is idempotent (idempotency_level), and scope is not ALL"
