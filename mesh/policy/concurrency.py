"""What an operator may say about calls in flight."""

from __future__ import annotations

import dataclasses

from mesh.policy import read
from mesh.policy.problem import Problems
from mesh.v1 import policy_pb2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ConcurrencyPolicy:
    """The most calls in flight."""

    max_in_flight: int = 1024

    @classmethod
    def read(cls, proto: policy_pb2.ConcurrencyLimit, at: Problems) -> ConcurrencyPolicy | None:
        if not read.flag(proto, "enabled", default=True):
            return None
        return cls(max_in_flight=read.whole(proto, "max_in_flight", at, default=1024, least=1))
