"""How a connection policy becomes gRPC's own settings: service config and channel arguments, all native in C-core.

Timeouts and retries are never written here. "They fire 1-2 s early" (grpc/grpc#34547, #40633), and the deadline never
reaches the server; our chain has both.
"""

from __future__ import annotations

import json
import os
from collections.abc import MutableMapping
from typing import Any, Final

from mesh.policy.connection import ConnectionPolicy, LoadBalancing, OutlierPolicy

ChannelArguments = list[tuple[str, Any]]

# Weights start to count a second after an endpoint's first report, instead of gRPC's ten.
_WEIGHTED: Final = {"blackoutPeriod": "1s", "weightUpdatePeriod": "1s", "enableOobLoadReport": False}

# The hash by a header of the request (gRFC A76) is in gRPC's core, which takes it from a service config only if told so.
_HASH_GATE: Final = "GRPC_EXPERIMENTAL_RING_HASH_SET_REQUEST_HASH_KEY"
_PLACES: Final = 128
"""Of each endpoint on a ring: the more, the more evenly requests are spread."""


def service_config(policy: ConnectionPolicy, endpoints: int = 0) -> dict[str, Any]:
    """Return the service config: load balancing, outlier detection, health checks.

    `endpoints` is how many there are, where that is known before they are resolved, else 0.
    """
    name = policy.load_balancing
    settings: dict[str, Any] = {}
    if name is LoadBalancing.WEIGHTED_ROUND_ROBIN:
        settings = _WEIGHTED
    elif name is LoadBalancing.RING_HASH:
        settings = _ring(policy.hash_header, endpoints)
    balancing: dict[str, Any] = {name.value: settings}
    if policy.outlier is not None:
        balancing = {"outlier_detection_experimental": _outlier(policy.outlier, balancing)}
    config: dict[str, Any] = {"loadBalancingConfig": [balancing]}
    if policy.health_check is not None:
        config["healthCheckConfig"] = {"serviceName": policy.health_check}
    return config


def _ring(header: str, endpoints: int) -> dict[str, Any]:
    settings: dict[str, Any] = {"requestHashHeader": header}
    if endpoints:
        # A ring of one size gives each endpoint more places when there are fewer of them, and moves requests that could
        # have stayed. As many places for each, however many there are, moves those of the endpoint that went.
        settings |= {"minRingSize": _PLACES * endpoints, "maxRingSize": _PLACES * endpoints}
    return settings


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


def channel_arguments(
    policy: ConnectionPolicy, uri: str = "", environ: MutableMapping[str, str] = os.environ
) -> ChannelArguments:
    """Return everything a channel needs to follow the policy; `uri` is what gRPC's resolver will be given.

    For a ring hash the variable in `environ` is set that gRPC's core asks for before it takes one; a value that is there
    stays.
    """
    endpoints = uri.count(",") + 1 if uri.startswith(("ipv4:", "ipv6:")) else 0
    arguments: ChannelArguments = [
        ("grpc.service_config", json.dumps(service_config(policy, endpoints))),
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
    if policy.load_balancing is LoadBalancing.RING_HASH:
        environ.setdefault(_HASH_GATE, "true")
        arguments.append(("grpc.lb.ring_hash.ring_size_cap", max(4096, _PLACES * endpoints)))
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
