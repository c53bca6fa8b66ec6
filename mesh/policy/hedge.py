"""What an operator may say about hedging."""

from __future__ import annotations

import dataclasses

from mesh.call import Code
from mesh.policy import read
from mesh.policy.problem import Problems
from mesh.policy.retry import BudgetPolicy, read_codes
from mesh.v1 import policy_pb2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HedgePolicy:
    """When another attempt joins the first, and which answers do not end the race."""

    delay: float | None = None
    """Seconds; None: by percentile."""
    percentile: float = 95.0
    minimum_calls: int = 100
    min_delay: float = 0.002
    max_attempts: int = 2
    non_fatal_codes: frozenset[int] = frozenset({int(Code.UNAVAILABLE)})
    every_method: bool = False
    """Hedge methods whose proto does not say that they are idempotent."""
    budget: BudgetPolicy = dataclasses.field(default_factory=BudgetPolicy)
    idempotency_key: bool = True
    """Hedge requests with an idempotency key, whatever their proto says."""

    @classmethod
    def read(
        cls, proto: policy_pb2.Hedge, at: Problems, *, retry: policy_pb2.Retry, at_retry: Problems
    ) -> HedgePolicy | None:
        """Read the section, and what it shares with `retry`, whether or not that is on."""
        if not read.flag(proto, "enabled", default=True):
            return None
        if read.flag(retry, "enabled", default=True):
            at_retry = Problems()  # found when the section itself is read
        delay = read.seconds(proto, "delay", at, default=float("inf"), most=60.0)
        if proto.HasField("delay"):
            for name in ("percentile", "minimum_calls", "min_delay"):
                if proto.HasField(name):
                    at.field(name).add("says how to find a delay, but `delay` is given: remove one of them")
        return cls(
            delay=None if delay == float("inf") else delay,
            percentile=read.number(proto, "percentile", at, default=95.0, least=50.0, most=99.9),
            minimum_calls=read.whole(proto, "minimum_calls", at, default=100, least=1),
            min_delay=read.seconds(proto, "min_delay", at, default=0.002, most=60.0),
            max_attempts=read.whole(proto, "max_attempts", at, default=2, least=2, most=5),
            non_fatal_codes=read_codes(proto.non_fatal_codes, at.field("non_fatal_codes")),
            every_method=proto.scope == policy_pb2.RETRY_SCOPE_ALL,
            budget=BudgetPolicy.read(retry.budget, at_retry.field("budget")),
            idempotency_key=read.flag(retry, "idempotency_key", default=True),
        )
