"""What an operator may say about a client's channel: all of it is enforced by gRPC's core."""

from __future__ import annotations

import dataclasses
import enum
from typing import Final

from mesh.policy import read
from mesh.policy.header_match import check_name
from mesh.policy.problem import Problems
from mesh.v1 import policy_pb2


class LoadBalancing(enum.Enum):
    """How endpoints are picked; the values are the names gRPC's service config knows."""

    PICK_FIRST = "pick_first"
    ROUND_ROBIN = "round_robin"
    WEIGHTED_ROUND_ROBIN = "weighted_round_robin"
    RING_HASH = "ring_hash_experimental"


_LOAD_BALANCING: Final = {
    policy_pb2.LOAD_BALANCING_UNSPECIFIED: LoadBalancing.ROUND_ROBIN,
    policy_pb2.LOAD_BALANCING_PICK_FIRST: LoadBalancing.PICK_FIRST,
    policy_pb2.LOAD_BALANCING_ROUND_ROBIN: LoadBalancing.ROUND_ROBIN,
    policy_pb2.LOAD_BALANCING_WEIGHTED_ROUND_ROBIN: LoadBalancing.WEIGHTED_ROUND_ROBIN,
    policy_pb2.LOAD_BALANCING_RING_HASH: LoadBalancing.RING_HASH,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OutlierPolicy:
    """Which endpoints are ejected; times in seconds, shares in percent."""

    interval: float = 10.0
    base_ejection_time: float = 30.0
    max_ejection_time: float = 300.0
    max_ejection_percent: int = 50
    failure_percent: int = 50
    minimum_hosts: int = 2
    request_volume: int = 20

    @classmethod
    def read(cls, proto: policy_pb2.OutlierDetection, at: Problems) -> OutlierPolicy | None:
        if not read.flag(proto, "enabled", default=True):
            return None
        base = read.seconds(proto, "base_ejection_time", at, default=30.0, least=0.001)
        return cls(
            interval=read.seconds(proto, "interval", at, default=10.0, least=0.001),
            base_ejection_time=base,
            max_ejection_time=read.seconds(
                proto, "max_ejection_time", at, default=max(base, 300.0), least=base
            ),
            max_ejection_percent=read.whole(proto, "max_ejection_percent", at, default=50, least=1, most=100),
            failure_percent=read.whole(proto, "failure_percent", at, default=50, least=1, most=100),
            minimum_hosts=read.whole(proto, "minimum_hosts", at, default=2, least=1),
            request_volume=read.whole(proto, "request_volume", at, default=20, least=1),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeepalivePolicy:
    """Pings on a quiet connection; seconds."""

    interval: float = 300.0
    timeout: float = 10.0

    @classmethod
    def read(cls, proto: policy_pb2.Keepalive, at: Problems) -> KeepalivePolicy | None:
        if not read.flag(proto, "enabled", default=True):
            return None
        return cls(
            interval=read.seconds(proto, "interval", at, default=300.0, least=10.0),
            timeout=read.seconds(proto, "timeout", at, default=10.0, least=0.1),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionPolicy:
    """A channel's settings; seconds and bytes."""

    load_balancing: LoadBalancing = LoadBalancing.ROUND_ROBIN
    health_check: str | None = ""
    """The service name asked of grpc.health.v1; None: endpoints are not watched."""
    outlier: OutlierPolicy | None = None
    keepalive: KeepalivePolicy | None = dataclasses.field(default_factory=KeepalivePolicy)
    initial_backoff: float = 0.1
    max_backoff: float = 5.0
    max_receive_bytes: int = 4 * 1024 * 1024
    max_send_bytes: int | None = None
    hash_header: str = ""
    """The metadata by whose hash endpoints are picked."""

    @classmethod
    def read(cls, proto: policy_pb2.Connection, at: Problems) -> ConnectionPolicy:
        balancing = _LOAD_BALANCING.get(proto.load_balancing, LoadBalancing.ROUND_ROBIN)
        pick_first = balancing is LoadBalancing.PICK_FIRST
        watched = read.flag(proto.health_check, "enabled", default=not pick_first)
        if watched and pick_first:
            at.field("health_check").add(
                "gRPC's pick_first does not watch health; say `enabled: false` or balance by round robin"
            )
        if pick_first and proto.HasField("outlier_detection"):
            at.field("outlier_detection").add(
                "with pick_first there is nothing to eject; balance by round robin"
            )
        _check_hash(proto, at)
        initial = read.seconds(
            proto.reconnect, "initial_backoff", at.field("reconnect"), default=0.1, least=0.01
        )
        outlier = None
        if proto.HasField("outlier_detection"):
            outlier = OutlierPolicy.read(proto.outlier_detection, at.field("outlier_detection"))
        return cls(
            load_balancing=balancing,
            health_check=proto.health_check.service_name if watched else None,
            outlier=outlier,
            keepalive=KeepalivePolicy.read(proto.keepalive, at.field("keepalive")),
            initial_backoff=initial,
            max_backoff=read.seconds(
                proto.reconnect,
                "max_backoff",
                at.field("reconnect"),
                default=max(initial, 5.0),
                least=initial,
            ),
            max_receive_bytes=read.whole(
                proto, "max_receive_bytes", at, default=4194304, least=1, most=2**31 - 1
            ),
            max_send_bytes=read.whole(proto, "max_send_bytes", at, default=0, most=2**31 - 1) or None,
            hash_header=proto.hash_header,
        )


def _check_hash(proto: policy_pb2.Connection, at: Problems) -> None:
    here = at.field("hash_header")
    if proto.load_balancing != policy_pb2.LOAD_BALANCING_RING_HASH:
        if proto.HasField("hash_header"):
            here.add(f'"{proto.hash_header}" is looked at with LOAD_BALANCING_RING_HASH only')
        return
    check_name(proto.hash_header, here)
    if proto.hash_header.endswith("-bin"):
        # "must be a valid HTTP header name that does not end with -bin" - gRFC A76
        here.add(f'"{proto.hash_header}" has bytes as its value, which gRPC does not hash')
