"""Which calls may be made more than once, what their servers say about it, and what all of it may cost together."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from mesh.call import Call, Metadata
from mesh.mechanism.budget import RetryBudget
from mesh.mechanism.retry import parse_pushback
from mesh.policy.retry import BudgetPolicy
from mesh.stage.detail import STATUS_DETAILS
from mesh.stage.scope import Scope

PUSHBACK: Final = "grpc-retry-pushback-ms"
IDEMPOTENCY_KEY: Final = "idempotency-key"
_RETRY_INFO: Final = error_details_pb2.RetryInfo.DESCRIPTOR


def is_keyed(call: Call) -> bool:
    """Return whether the request has an idempotency key: its server promises to do the work once."""
    # "Header names ... must be lowercase" - gRPC over HTTP2; grpc refuses others before they come here.
    for key, _ in call.metadata:  # noqa: SIM110 - a generator would cost more than the loop
        if key == IDEMPOTENCY_KEY:
            return True
    return False


def is_repeatable(scope: Scope, *, every_method: bool) -> bool:
    """Return whether calls of the method may be repeated whatever they carry."""
    return scope.policy.idempotent or every_method


def is_hedged(scope: Scope) -> bool:
    """Return whether hedging takes the place of retries on the method."""
    policy = scope.policy.hedge
    return policy is not None and (
        policy.idempotency_key or is_repeatable(scope, every_method=policy.every_method)
    )


def why(scope: Scope, *, every_method: bool) -> str:
    """Say which calls of a method may be repeated."""
    if every_method:
        return "every method may be"
    if scope.policy.idempotent:
        return "the proto says it is idempotent"
    return f"requests with {IDEMPOTENCY_KEY} only"


def budget(scope: Scope, terms: BudgetPolicy) -> RetryBudget:
    """Return the budget of the target, one for the retries and hedges of all its methods with the same terms."""

    def make() -> RetryBudget:
        return RetryBudget(
            ratio=terms.ratio, floor=terms.min_per_second, window=terms.window, now=scope.clock()
        )

    return scope.state.keep(("retry_budget", scope.target, terms), make)


def describe_budget(terms: BudgetPolicy) -> str:
    return f"budget {terms.ratio:.0%} of calls + {terms.min_per_second:g}/s"


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
