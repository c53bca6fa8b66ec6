"""What an operator may say about calls a second."""

from __future__ import annotations

import dataclasses
import enum
import math
from typing import Final

from mesh.policy import read
from mesh.policy.header_match import is_name
from mesh.policy.problem import Problems
from mesh.v1 import policy_pb2


class RateKey(enum.Enum):
    """What is counted apart."""

    METHOD = "method"
    PRINCIPAL = "principal"
    METADATA = "metadata"


_KEY: Final = {
    policy_pb2.RATE_KEY_UNSPECIFIED: RateKey.METHOD,
    policy_pb2.RATE_KEY_METHOD: RateKey.METHOD,
    policy_pb2.RATE_KEY_PRINCIPAL: RateKey.PRINCIPAL,
    policy_pb2.RATE_KEY_METADATA: RateKey.METADATA,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RatePolicy:
    """So many calls a second for each key."""

    per_second: float
    burst: int
    key: RateKey = RateKey.METHOD
    metadata: str = ""
    """The name of the metadata that is the key."""
    max_keys: int = 10_000

    @classmethod
    def read(cls, proto: policy_pb2.Rate, at: Problems) -> RatePolicy:
        if not proto.HasField("per_second"):
            at.field("per_second").add("a limit needs a rate, in calls a second")
        rate = read.number(proto, "per_second", at, default=1.0, least=0.0001, most=1e6)
        key = _KEY.get(proto.key, RateKey.METHOD)
        if key is RateKey.METADATA and not is_name(proto.metadata):
            at.field("metadata").add(
                f'"{proto.metadata}" is no name of metadata, in lower case, which RATE_KEY_METADATA needs'
            )
        elif key is not RateKey.METADATA and proto.HasField("metadata"):
            at.field("metadata").add(f'"{proto.metadata}" is looked at with RATE_KEY_METADATA only')
        return cls(
            per_second=rate,
            burst=read.whole(proto, "burst", at, default=max(1, math.floor(rate)), least=1),
            key=key,
            metadata=proto.metadata,
            max_keys=read.whole(proto, "max_keys", at, default=10_000, least=1, most=10_000_000),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitPolicy:
    """The limits that a call must pass, all of them."""

    limits: tuple[RatePolicy, ...] = ()

    @classmethod
    def read(cls, proto: policy_pb2.RateLimit, at: Problems) -> RateLimitPolicy | None:
        if not read.flag(proto, "enabled", default=True):
            return None
        limits = at.field("limits")
        if not proto.limits:
            limits.add("there is nothing to enforce; write a limit, or say `enabled: false`")
        return cls(
            limits=tuple(RatePolicy.read(rate, limits.item(index)) for index, rate in enumerate(proto.limits))
        )
