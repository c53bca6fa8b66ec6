"""What an operator may say about the size of messages."""

from __future__ import annotations

import dataclasses

from mesh.policy import read
from mesh.policy.problem import Problems
from mesh.v1 import policy_pb2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MessageLimitPolicy:
    """The largest messages, in bytes of their wire form; None: any size."""

    max_request: int | None = None
    max_response: int | None = None

    @classmethod
    def read(cls, proto: policy_pb2.MessageLimit, at: Problems) -> MessageLimitPolicy | None:
        if not read.flag(proto, "enabled", default=True):
            return None
        return cls(
            max_request=read.whole(proto, "max_request_bytes", at, default=0, least=1) or None,
            max_response=read.whole(proto, "max_response_bytes", at, default=0, least=1) or None,
        )
