"""What an operator may say about retries."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final

from mesh.call import CODE_NAMES, Code
from mesh.mechanism.backoff import Jitter
from mesh.policy import read
from mesh.policy.problem import Problems
from mesh.v1 import policy_pb2

NEVER_RETRYABLE: Final = {
    Code.OK: "it is not a failure",
    Code.CANCELLED: "the caller has gone",
    Code.INVALID_ARGUMENT: "another attempt cannot make the request valid",
    Code.DEADLINE_EXCEEDED: "no time is left",
    Code.UNAUTHENTICATED: "another attempt brings the same credentials",
    Code.PERMISSION_DENIED: "another attempt brings the same caller",
}

_JITTER: Final = {
    policy_pb2.JITTER_UNSPECIFIED: Jitter.FULL,
    policy_pb2.JITTER_FULL: Jitter.FULL,
    policy_pb2.JITTER_PROPORTIONAL: Jitter.PROPORTIONAL,
    policy_pb2.JITTER_NONE: Jitter.NONE,
    policy_pb2.JITTER_DECORRELATED: Jitter.DECORRELATED,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BackoffPolicy:
    """The wait between attempts, in seconds."""

    base: float = 0.025
    max: float = 0.25
    multiplier: float = 2.0
    jitter: Jitter = Jitter.FULL

    @classmethod
    def read(cls, proto: policy_pb2.Backoff, at: Problems) -> BackoffPolicy:
        base = read.seconds(proto, "base", at, default=0.025, least=0.001, most=60.0)
        return cls(
            base=base,
            max=read.seconds(proto, "max", at, default=max(base, 0.25), least=base, most=600.0),
            multiplier=read.number(proto, "multiplier", at, default=2.0, least=1.0, most=10.0),
            jitter=_JITTER.get(proto.jitter, Jitter.FULL),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPolicy:
    """Retries earned: `ratio` of the calls of the last `window` seconds, plus `min_per_second`."""

    ratio: float = 0.2
    min_per_second: float = 3.0
    window: float = 10.0

    @classmethod
    def read(cls, proto: policy_pb2.RetryBudget, at: Problems) -> BudgetPolicy:
        return cls(
            ratio=read.number(proto, "ratio", at, default=0.2, most=1.0),
            min_per_second=read.number(proto, "min_per_second", at, default=3.0),
            window=read.seconds(proto, "window", at, default=10.0, least=1.0, most=60.0),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Which failed attempts are tried again, how often and when."""

    max_attempts: int = 3
    codes: frozenset[int] = frozenset({int(Code.UNAVAILABLE)})
    every_method: bool = False
    """Retry methods whose proto does not say that they are idempotent."""
    backoff: BackoffPolicy = dataclasses.field(default_factory=BackoffPolicy)
    budget: BudgetPolicy = dataclasses.field(default_factory=BudgetPolicy)
    attempt_timeout: float | None = None
    """Seconds; None: all that is left of the deadline."""
    idempotency_key: bool = True
    """Retry requests with an idempotency key, whatever their proto says."""

    @classmethod
    def read(cls, proto: policy_pb2.Retry, at: Problems) -> RetryPolicy | None:
        if not read.flag(proto, "enabled", default=True):
            return None
        return cls(
            max_attempts=read.whole(proto, "max_attempts", at, default=3, least=2, most=10),
            codes=read_codes(proto.codes, at.field("codes")),
            every_method=proto.scope == policy_pb2.RETRY_SCOPE_ALL,
            backoff=BackoffPolicy.read(proto.backoff, at.field("backoff")),
            budget=BudgetPolicy.read(proto.budget, at.field("budget")),
            attempt_timeout=read.seconds(proto, "attempt_timeout", at, default=0.0, least=0.001) or None,
            idempotency_key=read.flag(proto, "idempotency_key", default=True),
        )


def read_codes(values: Iterable[int], at: Problems) -> frozenset[int]:
    """Read the statuses worth another attempt: UNAVAILABLE when there are none."""
    codes = set()
    for index, value in enumerate(values):
        if not 0 <= value < len(CODE_NAMES):
            at.item(index).add(f'"{value}" is not a gRPC status code')
        elif reason := NEVER_RETRYABLE.get(Code(value)):
            at.item(index).add(f"{CODE_NAMES[value]} is never retryable: {reason}")
        else:
            codes.add(int(value))
    return frozenset(codes) or frozenset({int(Code.UNAVAILABLE)})
