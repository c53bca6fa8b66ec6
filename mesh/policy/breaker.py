"""What an operator may say about circuit breakers."""

from __future__ import annotations

import dataclasses

from mesh.policy import read
from mesh.policy.problem import Problems
from mesh.v1 import policy_pb2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When a circuit opens, and for how many seconds."""

    consecutive_failures: int | None = 10
    failure_ratio: float | None = 0.5
    minimum_calls: int = 20
    window: float = 10.0
    open_for: float = 1.0
    max_open_for: float = 30.0
    half_open_probes: int = 1

    @classmethod
    def read(cls, proto: policy_pb2.CircuitBreaker, at: Problems) -> BreakerPolicy | None:
        if not read.flag(proto, "enabled", default=True):
            return None
        consecutive = read.whole(proto, "consecutive_failures", at, default=10)
        ratio = read.number(proto, "failure_ratio", at, default=0.5, most=1.0)
        if not consecutive and not ratio:
            at.add(
                "both rules are switched off, so the circuit would never open; say `enabled: false` instead"
            )
        open_for = read.seconds(proto, "open_for", at, default=1.0, least=0.001, most=600.0)
        return cls(
            consecutive_failures=consecutive or None,
            failure_ratio=ratio or None,
            minimum_calls=read.whole(proto, "minimum_calls", at, default=20, least=1),
            window=read.seconds(proto, "window", at, default=10.0, least=0.1, most=600.0),
            open_for=open_for,
            max_open_for=read.seconds(
                proto, "max_open_for", at, default=max(open_for, 30.0), least=open_for, most=3600.0
            ),
            half_open_probes=read.whole(proto, "half_open_probes", at, default=1, least=1, most=1000),
        )
