"""What an operator may say about copies of requests."""

from __future__ import annotations

import dataclasses

from mesh.policy import read
from mesh.policy.fault import share
from mesh.policy.problem import Problems
from mesh.v1 import policy_pb2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MirrorPolicy:
    """Where copies go, of which share of the calls, and how long each may take in seconds."""

    target: str = ""
    share: float = 1.0
    max_in_flight: int = 100
    timeout: float = 5.0

    @classmethod
    def read(cls, proto: policy_pb2.Mirror, at: Problems) -> MirrorPolicy | None:
        if not read.flag(proto, "enabled", default=True):
            return None
        if not proto.target:
            at.field("target").add("copies need a target: the name of a service, or HOST:PORT")
        return cls(
            target=proto.target,
            share=share(proto, at),
            max_in_flight=read.whole(proto, "max_in_flight", at, default=100, least=1, most=100_000),
            timeout=read.seconds(proto, "timeout", at, default=5.0, least=0.001, most=600.0),
        )
