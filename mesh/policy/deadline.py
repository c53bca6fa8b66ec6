"""What an operator may say about deadlines."""

from __future__ import annotations

import dataclasses
from typing import Final

from mesh.policy import read
from mesh.policy.problem import Problems
from mesh.v1 import policy_pb2

UNARY_TIMEOUT: Final = 15.0
"""What a call with one response gets when neither its caller nor its policy says: Envoy's default, too."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DeadlinePolicy:
    """How long a call may take, in seconds."""

    default_timeout: float | None = None
    """None: `UNARY_TIMEOUT` for one response, no limit for a stream of them."""
    max_timeout: float | None = None
    hop_reserve: float = 0.0
    min_attempt_time: float = 0.0

    @classmethod
    def read(cls, proto: policy_pb2.Deadline, at: Problems) -> DeadlinePolicy | None:
        if not read.flag(proto, "enabled", default=True):
            return None
        cap = read.seconds(proto, "max_timeout", at, default=float("inf"), least=0.001)
        default = read.seconds(proto, "default_timeout", at, default=float("inf"), least=0.001)
        return cls(
            default_timeout=None if default == float("inf") else default,
            max_timeout=None if cap == float("inf") else cap,
            hop_reserve=read.seconds(proto, "hop_reserve", at, default=0.0, most=60.0),
            min_attempt_time=read.seconds(proto, "min_attempt_time", at, default=0.0, most=60.0),
        )
