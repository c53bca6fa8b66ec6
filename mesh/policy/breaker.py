"""What an operator may say about circuit breakers."""

from __future__ import annotations

import dataclasses
import enum
import math
from typing import Final

from mesh.policy import read
from mesh.policy.connection import OutlierPolicy
from mesh.policy.problem import Problems
from mesh.v1 import policy_pb2


class CircuitScope(enum.Enum):
    """What one circuit is about."""

    METHOD = "method"
    TARGET = "target"
    ENDPOINT = "endpoint"


_SCOPE: Final = {
    policy_pb2.CIRCUIT_BREAKER_SCOPE_UNSPECIFIED: CircuitScope.METHOD,
    policy_pb2.CIRCUIT_BREAKER_SCOPE_METHOD: CircuitScope.METHOD,
    policy_pb2.CIRCUIT_BREAKER_SCOPE_TARGET: CircuitScope.TARGET,
    policy_pb2.CIRCUIT_BREAKER_SCOPE_ENDPOINT: CircuitScope.ENDPOINT,
}

_OFF_AT_ZERO: Final = ("consecutive_failures", "slow_call_ratio")
_NOT_OF_ENDPOINTS: Final = (*_OFF_AT_ZERO, "slow_call_duration", "half_open_probes")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When a circuit opens, and for how many seconds."""

    consecutive_failures: int | None = 10
    failure_ratio: float | None = 0.5
    slow_call_ratio: float | None = None
    slow_call_duration: float = 1.0
    minimum_calls: int = 20
    window: float = 10.0
    open_for: float = 1.0
    max_open_for: float = 5.0
    half_open_probes: int = 1
    scope: CircuitScope = CircuitScope.METHOD

    @classmethod
    def read(cls, proto: policy_pb2.CircuitBreaker, at: Problems) -> BreakerPolicy | None:
        if not read.flag(proto, "enabled", default=True):
            return None
        scope = _SCOPE.get(proto.scope, CircuitScope.METHOD)
        consecutive = read.whole(proto, "consecutive_failures", at, default=10)
        ratio = read.number(proto, "failure_ratio", at, default=0.5, most=1.0)
        slow = read.number(proto, "slow_call_ratio", at, default=0.0, most=1.0)
        if scope is CircuitScope.ENDPOINT:
            consecutive = 0
            _check_endpoint(proto, at)
        elif not consecutive and not ratio and not slow:
            at.add(
                "all rules are switched off, so the circuit would never open; say `enabled: false` instead"
            )
        open_for = read.seconds(proto, "open_for", at, default=1.0, least=0.001, most=600.0)
        return cls(
            consecutive_failures=consecutive or None,
            failure_ratio=ratio or None,
            slow_call_ratio=slow or None,
            slow_call_duration=read.seconds(
                proto, "slow_call_duration", at, default=1.0, least=0.001, most=600.0
            ),
            minimum_calls=read.whole(proto, "minimum_calls", at, default=20, least=1),
            window=read.seconds(proto, "window", at, default=10.0, least=0.1, most=600.0),
            open_for=open_for,
            max_open_for=read.seconds(
                proto, "max_open_for", at, default=max(open_for, 5.0), least=open_for, most=3600.0
            ),
            half_open_probes=read.whole(proto, "half_open_probes", at, default=1, least=1, most=1000),
            scope=scope,
        )

    @property
    def outlier(self) -> OutlierPolicy | None:
        """What gRPC's core is told where circuits are about endpoints; None where they are not."""
        if self.scope is not CircuitScope.ENDPOINT or self.failure_ratio is None:
            return None
        return OutlierPolicy(
            interval=self.window,
            base_ejection_time=self.open_for,
            max_ejection_time=self.max_open_for,
            # The core ejects what is above its threshold; a circuit opens when the ratio is reached.
            failure_percent=math.ceil(self.failure_ratio * 100) - 1,
            request_volume=self.minimum_calls,
        )


def _check_endpoint(proto: policy_pb2.CircuitBreaker, at: Problems) -> None:
    """Refuse what gRPC's outlier detection cannot do: it knows the share of failures of an interval and nothing else."""
    for name in _NOT_OF_ENDPOINTS:
        if proto.HasField(name) and (name not in _OFF_AT_ZERO or getattr(proto, name)):
            at.field(name).add(
                "circuits of single endpoints open by `failure_ratio` alone and are not probed (gRPC's outlier "
                "detection); leave it out, or choose another scope"
            )
    if proto.HasField("failure_ratio") and not proto.failure_ratio:
        at.field("failure_ratio").add(
            "it is the one rule of circuits of single endpoints; say `enabled: false` to switch them off"
        )
