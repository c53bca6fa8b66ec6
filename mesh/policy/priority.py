"""What an operator may say about how important requests are."""

from __future__ import annotations

import dataclasses
from typing import Final

from mesh.call import Priority
from mesh.policy import read
from mesh.v1 import policy_pb2

_LEVEL: Final = {
    policy_pb2.PRIORITY_LEVEL_UNSPECIFIED: Priority.NORMAL,
    policy_pb2.PRIORITY_LEVEL_LOW: Priority.LOW,
    policy_pb2.PRIORITY_LEVEL_NORMAL: Priority.NORMAL,
    policy_pb2.PRIORITY_LEVEL_HIGH: Priority.HIGH,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PriorityPolicy:
    """The priority of requests that name none."""

    default: Priority = Priority.NORMAL

    @classmethod
    def read(cls, proto: policy_pb2.Priority) -> PriorityPolicy | None:
        if not read.flag(proto, "enabled", default=True):
            return None
        return cls(default=_LEVEL.get(proto.default, Priority.NORMAL))
