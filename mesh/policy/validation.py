"""What an operator may say about checking requests."""

from __future__ import annotations

import dataclasses

from mesh.policy import read
from mesh.v1 import policy_pb2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ValidationPolicy:
    """Requests are checked against the rules of their proto."""

    @classmethod
    def read(cls, proto: policy_pb2.Validation) -> ValidationPolicy | None:
        return cls() if read.flag(proto, "enabled", default=True) else None
