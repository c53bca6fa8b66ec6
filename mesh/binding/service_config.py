"""How a connection policy becomes gRPC's own settings: service config and channel arguments, all native in C-core.

Timeouts and retries are never written here. "They fire 1-2 s early" (grpc/grpc#34547, #40633), and the deadline never
reaches the server; our chain has both.
"""

from __future__ import annotations

import json
from typing import Any, Final

from mesh.policy.connection import ConnectionPolicy, LoadBalancing, OutlierPolicy

ChannelArguments = list[tuple[str, Any]]

# Weights start to count a second after an endpoint's first report, instead of gRPC's ten.
_WEIGHTED: Final = {"blackoutPeriod": "1s", "weightUpdatePeriod": "1s", "enableOobLoadReport": False}


def service_config(policy: ConnectionPolicy) -> dict[str, Any]:
    """Return the service config: load balancing, outlier detection, health checks."""
    name = policy.load_balancing
    balancing: dict[str, Any] = {name.value: _WEIGHTED if name is LoadBalancing.WEIGHTED_ROUND_ROBIN else {}}
    if policy.outlier is not None:
        balancing = {"outlier_detection_experimental": _outlier(policy.outlier, balancing)}
    config: dict[str, Any] = {"loadBalancingConfig": [balancing]}
    if policy.health_check is not None:
        config["healthCheckConfig"] = {"serviceName": policy.health_check}
    return config


def _outlier(policy: OutlierPolicy, child: dict[str, Any]) -> dict[str, Any]:
    return {
        "interval": _duration(policy.interval),
        "baseEjectionTime": _duration(policy.base_ejection_time),
        "maxEjectionTime": _duration(policy.max_ejection_time),
        "maxEjectionPercent": policy.max_ejection_percent,
        "failurePercentageEjection": {
            "threshold": policy.failure_percent,
            "enforcementPercentage": 100,
            "minimumHosts": policy.minimum_hosts,
            "requestVolume": policy.request_volume,
        },
        "childPolicy": [child],
    }


def channel_arguments(policy: ConnectionPolicy) -> ChannelArguments:
    """Return everything a channel needs to follow the policy."""
    arguments: ChannelArguments = [
        ("grpc.service_config", json.dumps(service_config(policy))),
        # A resolver's own service config (DNS TXT records) would add a second owner for what the policy decides.
        ("grpc.service_config_disable_resolution", 1),
        # The chain retries; C-core's retry filter would only cost (8 % of a call).
        ("grpc.enable_retries", 0),
        # Not grpc.min_reconnect_backoff_ms: in spite of its name it is the time a connection may take to be made
        # (20 s unless set), and a distant server needs more than a first backoff for its handshake.
        ("grpc.initial_reconnect_backoff_ms", _milliseconds(policy.initial_backoff)),
        ("grpc.max_reconnect_backoff_ms", _milliseconds(policy.max_backoff)),
        ("grpc.max_receive_message_length", policy.max_receive_bytes),
        ("grpc.max_send_message_length", policy.max_send_bytes or -1),
    ]
    if policy.keepalive is not None:
        arguments += [
            ("grpc.keepalive_time_ms", _milliseconds(policy.keepalive.interval)),
            ("grpc.keepalive_timeout_ms", _milliseconds(policy.keepalive.timeout)),
        ]
    return arguments


def _duration(seconds: float) -> str:
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
