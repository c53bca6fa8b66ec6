"""Each feature has one owner, and whatever an operator may write about channels reaches gRPC's core."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format

from mesh.binding.capability import INERT, Owner, inert, inert_at, owners
from mesh.binding.service_config import channel_arguments, service_config
from mesh.call import Arity, Colour, Side
from mesh.chain import Chains
from mesh.errors import ConfigError
from mesh.policy.connection import ConnectionPolicy
from mesh.policy.problem import Problems
from mesh.telemetry.telemetry import Telemetry
from mesh.v1 import policy_pb2
from tests.policy.test_table import table

from .node import GET, runtime

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
    "hash_header": "x-user",
}
"""A value other than the default for every field of mesh.v1.Connection."""


def arguments(path: str = "") -> dict:
    tree: dict = {}
    if path:
        section, _, name = path.rpartition(".")
        tree = {section: {name: WRITTEN[path]}} if section else {name: WRITTEN[path]}
    if path.startswith("outlier_detection."):
        tree["outlier_detection"].setdefault("enabled", True)
    if path == "hash_header":
        tree["load_balancing"] = "LOAD_BALANCING_RING_HASH"
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


@pytest.mark.parametrize("kind", ["METHOD", "TARGET", "ENDPOINT"])
def test_circuits_have_one_owner(kind):
    """The chain, or gRPC's core where they are about single endpoints; on a channel of one's own that one does nothing."""
    made = table(f"defaults: {{circuit_breaker: {{scope: CIRCUIT_BREAKER_SCOPE_{kind}}}}}")
    chains = Chains(made, side=Side.CLIENT, target="shop", telemetry=Telemetry())
    scope = chains.scope("/shop.v1.Shop/Get", Arity.UNARY_UNARY)
    native = kind == "ENDPOINT"

    names = {stage.name for stage in chains.find("/shop.v1.Shop/Get", Arity.UNARY_UNARY).per_attempt}
    assert native == ("circuit_breaker" not in names)
    assert native == ("outlier_detection_experimental" in json.dumps(service_config(made.connection())))
    assert native == ("circuit_breaker" in inert_at(Colour.AIO, own=True)(scope))
    assert "circuit_breaker" not in inert_at(Colour.AIO)(scope)


def test_every_section_of_the_policy_has_an_owner():
    owned = set(owners(Side.CLIENT)) | set(owners(Side.SERVER))

    sections = {field.name for field in policy_pb2.Policy.DESCRIPTOR.fields}
    assert sections - {"required"} == owned  # which is about the others


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


# What some kinds of calls cannot have


def test_every_limit_is_of_a_section_that_its_side_has():
    for limit in INERT:
        assert limit.section in owners(limit.side), limit
        assert limit.reason


@pytest.mark.parametrize("side", list(Side), ids=lambda side: side.value)
@pytest.mark.parametrize("arity", list(Arity), ids=lambda arity: arity.value)
def test_a_channel_of_the_meshs_own_under_asyncio_can_do_everything(side, arity):
    assert {} == inert(side, arity, Colour.AIO)


@pytest.mark.parametrize(
    ("side", "arity", "own", "expected"),
    [
        (Side.CLIENT, Arity.UNARY_UNARY, False, set()),
        (Side.CLIENT, Arity.UNARY_UNARY, True, {"route", "mirror", "connection", "hedge"}),
        (Side.CLIENT, Arity.UNARY_STREAM, False, {"hedge"}),
        (Side.CLIENT, Arity.STREAM_UNARY, False, set()),
        (
            Side.CLIENT,
            Arity.STREAM_UNARY,
            True,
            {"route", "mirror", "connection", "hedge", "stream"},
        ),
        (Side.SERVER, Arity.UNARY_UNARY, False, {"deadline"}),
        (Side.SERVER, Arity.STREAM_UNARY, False, {"deadline", "stream"}),
    ],
)
def test_what_plain_grpc_cannot_do(side, arity, own, expected):
    assert expected == set(inert(side, arity, Colour.SYNC, own=own))


def test_what_is_not_configured_is_not_spoken_of():
    scope = runtime().chains(Side.CLIENT, "shop").scope(GET, Arity.UNARY_STREAM)

    assert {} == inert_at(Colour.SYNC)(scope)


def test_what_works_in_threads_may_be_required():
    policies = """
defaults: {mirror: {target: "127.0.0.1:1"}, stream: {max_age: 1s}, required: [mirror, stream]}
"""
    using = runtime(policies)

    using.chains(Side.CLIENT, "shop", colour=Colour.SYNC).find(GET, Arity.UNARY_STREAM)
    with pytest.raises(ConfigError, match=r'"mirror" must be enforced, .* copies go out on a channel'):
        using.chains(Side.CLIENT, "shop", colour=Colour.SYNC, own=True).find(GET, Arity.UNARY_STREAM)


def test_a_policy_that_requires_it_is_refused_where_it_does_nothing():
    policies = "defaults: {deadline: {max_timeout: 1s}, required: [deadline]}"

    runtime(policies).chains(Side.SERVER, "shop").find(GET, Arity.UNARY_UNARY)
    with pytest.raises(
        ConfigError, match=r'"deadline" must be enforced, but does nothing here: a handler.s thread'
    ):
        runtime(policies).chains(Side.SERVER, "shop", colour=Colour.SYNC).find(GET, Arity.UNARY_UNARY)


def test_whose_spans_threads_get_is_said():
    """The package's interceptors are for grpc.aio; in threads the mesh makes the spans, whatever the policy names."""
    otel = runtime("defaults: {trace: {engine: TRACE_ENGINE_OTEL_INSTRUMENTATION}}")
    scope = otel.chains(Side.SERVER, "shop").scope(GET, Arity.UNARY_UNARY)

    assert "trace" in inert_at(Colour.SYNC)(scope)
    assert "trace" not in inert_at(Colour.AIO)(scope)
