"""What an operator may say about how long streams live."""

from __future__ import annotations

import dataclasses

from mesh.policy import read
from mesh.policy.problem import Problems
from mesh.v1 import policy_pb2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StreamPolicy:
    """When a stream is ended, in seconds; None: never."""

    idle_timeout: float | None = None
    max_age: float | None = None

    @classmethod
    def read(cls, proto: policy_pb2.StreamLimit, at: Problems) -> StreamPolicy | None:
        if not read.flag(proto, "enabled", default=True):
            return None
        idle = read.seconds(proto, "idle_timeout", at, default=float("inf"), least=0.001)
        age = read.seconds(proto, "max_age", at, default=float("inf"), least=0.001)
        return cls(
            idle_timeout=None if idle == float("inf") else idle,
            max_age=None if age == float("inf") else age,
        )
