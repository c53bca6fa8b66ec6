"""Whether a failed attempt is tried again, and when: policy, idempotency, the server's wish, deadline, budget."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from mesh.call import CODE_NAMES, Call, Metadata, Outcome
from mesh.engine import Random, Retry
from mesh.mechanism.backoff import Backoff
from mesh.mechanism.budget import RetryBudget
from mesh.mechanism.retry import decide, parse_pushback
from mesh.policy.retry import RetryPolicy
from mesh.stage.scope import Scope

PUSHBACK: Final = "grpc-retry-pushback-ms"
STATUS_DETAILS: Final = "grpc-status-details-bin"
_RETRY_INFO: Final = error_details_pb2.RetryInfo.DESCRIPTOR


class Retries(Retry):
    """Decides between two attempts of one method's calls."""

    __slots__ = ("_backoff", "_budget", "_codes", "_max_attempts")

    def __init__(self, policy: RetryPolicy, budget: RetryBudget) -> None:
        self._max_attempts = policy.max_attempts
        self._codes = policy.codes
        self._budget = budget
        backoff = policy.backoff
        self._backoff = Backoff(
            base=backoff.base, multiplier=backoff.multiplier, max=backoff.max, jitter=backoff.jitter
        )

    def begin(self, call: Call, now: float) -> None:  # noqa: ARG002 - the contract's signature
        self._budget.deposit(now)

    def delay(self, call: Call, outcome: Outcome, now: float, random: Random) -> float | None:
        if outcome.rejected_by or not call.replayable or outcome.code not in self._codes:
            return None
        wanted = pushback(outcome.trailing)
        delay = decide(
            attempt=call.attempt,
            max_attempts=self._max_attempts,
            retryable=True,
            pushback=wanted,
            remaining=call.remaining(now),
            backoff=self._backoff,
            budget=self._budget,
            u=random(),
            now=now,
            pushed_back=call.pushed_back,
        )
        if wanted is not None:
            call.pushed_back = call.attempt
        return delay


def pushback(trailing: Metadata) -> float | None:
    """Read how long the server wants us to wait: its pushback in gRPC's own form, else a google.rpc.RetryInfo.

    Seconds; negative: it asks not to be tried again; None: it does not say.
    """
    details: str | bytes | None = None
    for key, value in trailing:
        if key == PUSHBACK:
            return parse_pushback(value)
        if key == STATUS_DETAILS:
            details = value
    if details is None:
        return None
    status = status_pb2.Status()
    try:
        status.ParseFromString(details if isinstance(details, bytes) else details.encode("latin-1"))
        for detail in status.details:
            if detail.Is(_RETRY_INFO):
                wait = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
                return float(wait.seconds + wait.nanos / 1e9)
    except (DecodeError, ValueError):  # a server's garbage must not change how the call fails
        return None
    return None


def build(scope: Scope) -> Retry | None:
    policy = scope.policy.retry
    if policy is None or not (scope.policy.idempotent or policy.every_method):
        return None
    terms = policy.budget

    def make() -> RetryBudget:
        return RetryBudget(
            ratio=terms.ratio, floor=terms.min_per_second, window=terms.window, now=scope.clock()
        )

    return Retries(policy, scope.state.keep(("retry_budget", scope.target, terms), make))


def describe(scope: Scope) -> str:
    policy = scope.policy.retry or RetryPolicy()
    codes = ", ".join(CODE_NAMES[code] for code in sorted(policy.codes))
    why = "every method may be" if policy.every_method else "the proto says it is idempotent"
    budget, backoff = policy.budget, policy.backoff
    text = (
        f"{policy.max_attempts} attempts on {codes} ({why}); waits {backoff.base:g}s to {backoff.max:g}s "
        f"x{backoff.multiplier:g}, {backoff.jitter.value} jitter; "
        f"budget {budget.ratio:.0%} of calls + {budget.min_per_second:g}/s"
    )
    if scope.arity.request_streams:
        text += "; inert unless the requests are a list or tuple"
    return text


def absent(scope: Scope) -> str:
    """Say why there is no retry."""
    if scope.policy.retry is not None:
        return "the proto does not say the method is idempotent (idempotency_level), and scope is not ALL"
    return "switched off"
