"""Each feature has one owner, and whatever an operator may write about channels reaches gRPC's core."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format

from mesh.binding.capability import Owner, owners
from mesh.binding.service_config import channel_arguments, service_config
from mesh.call import Side
from mesh.policy.connection import ConnectionPolicy
from mesh.policy.problem import Problems
from mesh.v1 import policy_pb2

WRITTEN = {
    "load_balancing": "LOAD_BALANCING_PICK_FIRST",
    "health_check.enabled": False,
    "health_check.service_name": "shop.v1.Shop",
    "outlier_detection.enabled": True,
    "outlier_detection.interval": "3s",
    "outlier_detection.base_ejection_time": "4s",
    "outlier_detection.max_ejection_time": "301s",
    "outlier_detection.max_ejection_percent": 51,
    "outlier_detection.failure_percent": 52,
    "outlier_detection.minimum_hosts": 3,
    "outlier_detection.request_volume": 21,
    "keepalive.enabled": False,
    "keepalive.interval": "11s",
    "keepalive.timeout": "12s",
    "reconnect.initial_backoff": "0.2s",
    "reconnect.max_backoff": "6s",
    "max_receive_bytes": 1000,
    "max_send_bytes": 2000,
}
"""A value other than the default for every field of mesh.v1.Connection."""


def arguments(path: str = "") -> dict:
    tree: dict = {}
    if path:
        section, _, name = path.rpartition(".")
        tree = {section: {name: WRITTEN[path]}} if section else {name: WRITTEN[path]}
    if path.startswith("outlier_detection."):
        tree["outlier_detection"].setdefault("enabled", True)
    at = Problems()
    policy = ConnectionPolicy.read(json_format.ParseDict(tree, policy_pb2.Connection()), at)
    assert not at
    return dict(channel_arguments(policy))


def fields(message=policy_pb2.Connection.DESCRIPTOR, prefix="") -> set[str]:
    found = set()
    for field in message.fields:
        nested = field.message_type
        if nested is not None and nested.full_name != "google.protobuf.Duration":
            found |= fields(nested, f"{prefix}{field.name}.")
        else:
            found.add(prefix + field.name)
    return found


@pytest.mark.parametrize("side", Side)
def test_no_section_has_two_owners(side):
    assert {1} == {len(owner) for owner in owners(side).values()}


def test_every_section_of_the_policy_has_an_owner():
    owned = set(owners(Side.CLIENT)) | set(owners(Side.SERVER))

    assert {field.name for field in policy_pb2.Policy.DESCRIPTOR.fields} == owned


def test_only_the_channel_is_native():
    assert {"connection"} == {name for name, owner in owners(Side.CLIENT).items() if Owner.NATIVE in owner}


def test_what_the_chain_owns_the_core_does_not_do():
    """Timeouts and retries would be written as methodConfig; C-core's own retry filter is off."""
    policy = ConnectionPolicy()

    assert {"loadBalancingConfig", "healthCheckConfig"} == set(service_config(policy))
    assert 0 == arguments()["grpc.enable_retries"]
    assert 1 == arguments()["grpc.service_config_disable_resolution"]


def test_every_field_is_tried():
    assert fields() == set(WRITTEN)


@pytest.mark.parametrize("path", sorted(WRITTEN))
def test_no_field_is_dropped_silently(path):
    before = arguments("outlier_detection.enabled" if path.startswith("outlier_detection.") else "")
    if path == "outlier_detection.enabled":
        before = arguments()

    assert before != arguments(path)


def test_a_connection_may_take_its_time():
    """A first backoff of 0.1 s must not become the time limit of a handshake: grpc.min_reconnect_backoff_ms is one."""
    assert "grpc.min_reconnect_backoff_ms" not in arguments()


def test_the_service_config_in_full():
    policy = ConnectionPolicy.read(
        json_format.ParseDict(
            {
                "load_balancing": "LOAD_BALANCING_WEIGHTED_ROUND_ROBIN",
                "outlier_detection": {"interval": "0.5s"},
            },
            policy_pb2.Connection(),
        ),
        Problems(),
    )

    assert {
        "loadBalancingConfig": [
            {
                "outlier_detection_experimental": {
                    "interval": "0.5s",
                    "baseEjectionTime": "30s",
                    "maxEjectionTime": "300s",
                    "maxEjectionPercent": 50,
                    "failurePercentageEjection": {
                        "threshold": 50,
                        "enforcementPercentage": 100,
                        "minimumHosts": 2,
                        "requestVolume": 20,
                    },
                    "childPolicy": [
                        {
                            "weighted_round_robin": {
                                "blackoutPeriod": "1s",
                                "weightUpdatePeriod": "1s",
                                "enableOobLoadReport": False,
                            }
                        }
                    ],
                }
            }
        ],
        "healthCheckConfig": {"serviceName": ""},
    } == json.loads(dict(channel_arguments(policy))["grpc.service_config"])
