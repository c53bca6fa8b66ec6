"""What an operator may say about calls in flight."""

from __future__ import annotations

import dataclasses
import enum
from typing import Final

from mesh.policy import read
from mesh.policy.problem import Problems
from mesh.v1 import policy_pb2


class Algorithm(enum.Enum):
    """What moves an adaptive limit."""

    GRADIENT = "gradient"
    AIMD = "aimd"


_ALGORITHM: Final = {
    policy_pb2.ADAPTIVE_ALGORITHM_UNSPECIFIED: Algorithm.GRADIENT,
    policy_pb2.ADAPTIVE_ALGORITHM_GRADIENT: Algorithm.GRADIENT,
    policy_pb2.ADAPTIVE_ALGORITHM_AIMD: Algorithm.AIMD,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AdaptivePolicy:
    """How a limit moves; times in seconds."""

    algorithm: Algorithm = Algorithm.GRADIENT
    min_in_flight: int = 10
    initial_in_flight: int = 20
    tolerance: float = 1.5
    latency_threshold: float | None = None
    backoff_ratio: float = 0.9

    @classmethod
    def read(cls, proto: policy_pb2.AdaptiveLimit, at: Problems, most: int) -> AdaptivePolicy | None:
        """Read the section; `most` is the upper bound of the limit."""
        if not read.flag(proto, "enabled", default=True):
            return None
        least = read.whole(proto, "min_in_flight", at, default=min(10, most), least=1, most=most)
        return cls(
            algorithm=_ALGORITHM.get(proto.algorithm, Algorithm.GRADIENT),
            min_in_flight=least,
            initial_in_flight=read.whole(
                proto, "initial_in_flight", at, default=max(least, min(20, most)), least=least, most=most
            ),
            tolerance=read.number(proto, "tolerance", at, default=1.5, least=1.0, most=10.0),
            latency_threshold=read.seconds(proto, "latency_threshold", at, default=0.0, least=0.001) or None,
            backoff_ratio=read.number(proto, "backoff_ratio", at, default=0.9, least=0.5, most=0.99),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ConcurrencyPolicy:
    """The most calls in flight, and who may fill how much of that."""

    max_in_flight: int = 1024
    adaptive: AdaptivePolicy | None = None
    every_method: bool = False
    """All methods share the limit."""
    low_share: float = 0.5
    normal_share: float = 1.0

    @classmethod
    def read(cls, proto: policy_pb2.ConcurrencyLimit, at: Problems) -> ConcurrencyPolicy | None:
        if not read.flag(proto, "enabled", default=True):
            return None
        most = read.whole(proto, "max_in_flight", at, default=1024, least=1)
        adaptive = None
        if proto.HasField("adaptive"):
            adaptive = AdaptivePolicy.read(proto.adaptive, at.field("adaptive"), most)
        return cls(
            max_in_flight=most,
            adaptive=adaptive,
            every_method=proto.scope == policy_pb2.CONCURRENCY_SCOPE_TARGET,
            low_share=read.number(proto, "low_share", at, default=0.5, least=0.01, most=1.0),
            normal_share=read.number(proto, "normal_share", at, default=1.0, least=0.01, most=1.0),
        )
