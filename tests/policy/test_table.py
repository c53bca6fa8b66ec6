"""Policies: how layers are merged, what the readers refuse and at which path."""

from __future__ import annotations

import dataclasses

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, json_format

from mesh.call import Code
from mesh.policy.connection import ConnectionPolicy, LoadBalancing
from mesh.policy.merge import builtin, merge
from mesh.policy.policy import Policy
from mesh.policy.problem import Problems
from mesh.policy.table import PolicyTable, load
from mesh.v1 import annotations_pb2, config_pb2, policy_pb2


def policies(text: str) -> config_pb2.Policies:
    return json_format.ParseDict(yaml.safe_load(text) or {}, config_pb2.Policies())


def table(text: str, pool=None) -> PolicyTable:
    made, problems = load(policies(text), pool=pool)
    assert [] == problems
    return made


def described(**options) -> descriptor_pool.DescriptorPool:
    """A pool with shop.v1.Shop: Get (no side effects), Put (idempotent), Buy."""
    file = descriptor_pb2.FileDescriptorProto(name="shop.proto", package="shop.v1")
    file.message_type.add(name="M")
    service = file.service.add(name="Shop")
    levels = {"Get": "NO_SIDE_EFFECTS", "Put": "IDEMPOTENT", "Buy": "IDEMPOTENCY_UNKNOWN"}
    for name, level in levels.items():
        method = service.method.add(name=name, input_type=".shop.v1.M", output_type=".shop.v1.M")
        method.options.idempotency_level = descriptor_pb2.MethodOptions.IdempotencyLevel.Value(level)
        if name in options:
            method.options.Extensions[annotations_pb2.method_policy].CopyFrom(options[name])
    if "service" in options:
        service.options.Extensions[annotations_pb2.service_policy].CopyFrom(options["service"])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    return pool


def test_without_a_word_the_builtin_policy_holds():
    policy = PolicyTable(pool=described()).policy("/shop.v1.Shop/Get")

    assert policy.deadline is not None
    assert policy.retry is not None
    assert policy.circuit_breaker is not None
    assert 1024 == policy.client_concurrency.max_in_flight
    assert policy.server_concurrency is None
    assert policy.access_log is None


@pytest.mark.parametrize(("method", "expected"), [("Get", True), ("Put", True), ("Buy", False)])
def test_idempotency_comes_from_the_proto(method, expected):
    assert expected is PolicyTable(pool=described()).policy(f"/shop.v1.Shop/{method}").idempotent


def test_an_unknown_method_is_not_idempotent():
    assert not PolicyTable(pool=described()).policy("/else.Where/Go").idempotent


def test_the_most_specific_wins_field_by_field():
    """annotations < defaults < service < method."""
    pool = described(
        service=policy_pb2.Policy(retry={"max_attempts": 2}, server_concurrency={"max_in_flight": 1}),
        Get=policy_pb2.Policy(retry={"max_attempts": 4}, circuit_breaker={"consecutive_failures": 7}),
    )
    made = table(
        """
        defaults: {deadline: {default_timeout: 1s, hop_reserve: 0.5s}}
        services:
        - service: shop.v1.Shop
          policy: {deadline: {default_timeout: 2s}, retry: {max_attempts: 5}}
          methods:
          - {method: Get, policy: {deadline: {default_timeout: 3s}}}
        """,
        pool,
    )

    get, buy = made.policy("/shop.v1.Shop/Get"), made.policy("/shop.v1.Shop/Buy")
    other = made.policy("/else.Where/Go")

    assert (3.0, 0.5) == (get.deadline.default_timeout, get.deadline.hop_reserve)
    assert (2.0, 0.5) == (buy.deadline.default_timeout, buy.deadline.hop_reserve)
    assert (1.0, 0.5) == (other.deadline.default_timeout, other.deadline.hop_reserve)
    assert 5 == get.retry.max_attempts
    assert 7 == get.circuit_breaker.consecutive_failures
    assert 10 == buy.circuit_breaker.consecutive_failures
    assert 1 == get.server_concurrency.max_in_flight
    assert other.server_concurrency is None


def test_lists_replace_and_do_not_append():
    below = policy_pb2.Policy(retry={"codes": [14, 10]})
    above = policy_pb2.Policy(retry={"codes": [8]})

    assert [8] == list(merge(builtin(), below, above).retry.codes)


def test_a_section_can_be_switched_off_and_on_again():
    made = table(
        """
        defaults: {retry: {enabled: false}, circuit_breaker: {enabled: false}, metrics: {enabled: false}}
        services:
        - {service: shop.v1.Shop, policy: {circuit_breaker: {enabled: true}}}
        """,
        described(),
    )

    policy = made.policy("/shop.v1.Shop/Get")
    assert policy.retry is None
    assert policy.metrics is None
    assert policy.circuit_breaker is not None


def test_merging_leaves_its_inputs_alone():
    base = builtin()
    before = base.SerializeToString(deterministic=True)

    merge(base, policy_pb2.Policy(deadline={}))

    assert before == base.SerializeToString(deterministic=True)


REFUSED = [
    (
        "defaults: {retry: {max_attempts: 1}}",
        'policies.defaults.retry.max_attempts: "1" is out of range, must be 2 to 10',
    ),
    (
        "defaults: {retry: {codes: [STATUS_CODE_INVALID_ARGUMENT]}}",
        (
            "policies.defaults.retry.codes[0]: INVALID_ARGUMENT is never retryable: "
            "another attempt cannot make the request valid"
        ),
    ),
    (
        "defaults: {retry: {codes: [STATUS_CODE_UNSPECIFIED]}}",
        "policies.defaults.retry.codes[0]: OK is never retryable: it is not a failure",
    ),
    (
        "defaults: {retry: {backoff: {base: 2s, max: 1s}}}",
        'policies.defaults.retry.backoff.max: "1s" is out of range, must be 2s to 600s',
    ),
    (
        "defaults: {retry: {backoff: {multiplier: 0.5}}}",
        'policies.defaults.retry.backoff.multiplier: "0.5" is out of range, must be 1 to 10',
    ),
    (
        "defaults: {retry: {budget: {ratio: 1.5}}}",
        'policies.defaults.retry.budget.ratio: "1.5" is out of range, must be 0 to 1',
    ),
    (
        "defaults: {deadline: {default_timeout: -1s}}",
        'policies.defaults.deadline.default_timeout: "-1s" is out of range, must be at least 0.001s',
    ),
    (
        "defaults: {circuit_breaker: {consecutive_failures: 0, failure_ratio: 0}}",
        (
            "policies.defaults.circuit_breaker: all rules are switched off, so the circuit would never open; "
            "say `enabled: false` instead"
        ),
    ),
    (
        "defaults: {server_concurrency: {max_in_flight: 0}}",
        'policies.defaults.server_concurrency.max_in_flight: "0" is out of range, must be at least 1',
    ),
    (
        "defaults: {connection: {keepalive: {interval: 1s}}}",
        'policies.defaults.connection.keepalive.interval: "1s" is out of range, must be at least 10s',
    ),
    (
        "defaults: {connection: {load_balancing: LOAD_BALANCING_PICK_FIRST, health_check: {enabled: true}}}",
        (
            "policies.defaults.connection.health_check: gRPC's pick_first does not watch health; say `enabled: false` "
            "or balance by round robin"
        ),
    ),
    (
        "defaults: {connection: {load_balancing: LOAD_BALANCING_PICK_FIRST, outlier_detection: {}}}",
        (
            "policies.defaults.connection.outlier_detection: with pick_first there is nothing to eject; "
            "balance by round robin"
        ),
    ),
    (
        "services: [{policy: {}}]",
        "policies.services[0].service: a service policy needs the full name of its service",
    ),
    (
        "services: [{service: a.B}, {service: a.B}]",
        'policies.services[1].service: "a.B" has a policy already; write one for each service',
    ),
    (
        "services: [{service: a.B, methods: [{policy: {}}]}]",
        "policies.services[0].methods[0].method: a method policy needs the name of its method",
    ),
    (
        "services: [{service: a.B, methods: [{method: C}, {method: C}]}]",
        'policies.services[0].methods[1].method: "C" has a policy already; write one for each method',
    ),
    (
        "services: [{service: a.B, methods: [{method: C, policy: {connection: {}}}]}]",
        (
            "policies.services[0].methods[0].policy.connection: connection settings hold for the whole service; "
            "write them in the service's policy"
        ),
    ),
    (
        (
            "{defaults: {retry: {backoff: {base: 1s}}}, "
            "services: [{service: a.B, policy: {retry: {backoff: {max: 0.5s}}}}]}"
        ),
        'policies.services[0].policy.retry.backoff.max: "0.5s" is out of range, must be 1s to 600s',
    ),
]


@pytest.mark.parametrize(
    ("text", "expected"), REFUSED, ids=[expected.split(":")[0] for _, expected in REFUSED]
)
def test_what_is_refused(text, expected):
    _, problems = load(policies(text))

    assert [expected] == [str(problem) for problem in problems]


def test_every_problem_is_reported_at_once():
    _, problems = load(
        policies(
            """
            defaults: {retry: {max_attempts: 99}, deadline: {max_timeout: 0s}}
            services: [{service: a.B, policy: {client_concurrency: {max_in_flight: 0}}}]
            """
        )
    )

    assert [
        "policies.defaults.deadline.max_timeout",
        "policies.defaults.retry.max_attempts",
        "policies.services[0].policy.client_concurrency.max_in_flight",
    ] == sorted(problem.path for problem in problems)


def test_a_wrong_default_is_reported_where_it_stands_and_nowhere_else():
    text = """
    defaults: {retry: {max_attempts: 99}, circuit_breaker: {window: 0s}}
    services: [{service: a.B, policy: {retry: {}}, methods: [{method: C, policy: {retry: {codes: [14]}}}]}]
    """
    _, problems = load(policies(text))

    assert ["policies.defaults.circuit_breaker.window", "policies.defaults.retry.max_attempts"] == sorted(
        problem.path for problem in problems
    )


def test_with_descriptors_names_are_checked():
    text = """
    services:
    - {service: shop.v1.Shop, methods: [{method: Gett, policy: {}}]}
    - {service: shop.v1.Stop, policy: {}}
    """
    _, problems = load(policies(text), pool=described())

    assert [
        'policies.services[0].methods[0].method: "Gett" is not a method of shop.v1.Shop; did you mean "Get"?',
        'policies.services[1].service: "shop.v1.Stop" is not a service of the descriptors',
    ] == [str(problem) for problem in problems]


def test_a_proto_cannot_decide_what_is_decided_before_its_methods_are_called():
    engine = policy_pb2.TRACE_ENGINE_OTEL_INSTRUMENTATION
    pool = described(Get=policy_pb2.Policy(connection={}, trace={"engine": engine}))
    at = Problems("Get")

    PolicyTable(pool=pool).policy("/shop.v1.Shop/Get", at)

    assert [
        "Get.connection: a proto cannot set how channels connect; write it in the environment's policies",
        "Get.trace.engine: a proto cannot choose who makes the spans; write it in the environment's policies",
    ] == [str(problem) for problem in at.list]


def test_connection_settings_of_a_target_come_from_its_services():
    made = table(
        """
        defaults: {connection: {max_receive_bytes: 1000}}
        services:
        - {service: a.B, policy: {connection: {load_balancing: LOAD_BALANCING_WEIGHTED_ROUND_ROBIN}}}
        """
    )

    assert LoadBalancing.WEIGHTED_ROUND_ROBIN is made.connection(["a.B"]).load_balancing
    assert LoadBalancing.ROUND_ROBIN is made.connection([]).load_balancing
    assert 1000 == made.connection(["a.B"]).max_receive_bytes


def test_defaults_of_the_protos_comments_are_the_dataclasses_defaults():
    """A section that is present and empty reads as its dataclass without arguments."""
    empty = policy_pb2.Policy()
    for field in empty.DESCRIPTOR.fields:
        if not field.is_repeated:
            getattr(empty, field.name).SetInParent()
    read = Policy.read(empty, Problems())

    for field in dataclasses.fields(read):
        value = getattr(read, field.name)
        if field.name != "idempotent":
            assert value == type(value)()
    assert ConnectionPolicy() == ConnectionPolicy.read(policy_pb2.Connection(), Problems())


def test_every_section_of_the_proto_is_read():
    """A field nobody reads would be dropped silently."""
    sections = {field.name for field in policy_pb2.Policy.DESCRIPTOR.fields}
    read = {field.name for field in dataclasses.fields(Policy)} - {"idempotent"}

    assert sections == read | {"connection"}


def test_retryable_codes_are_numbers():
    policy = table("defaults: {retry: {codes: [STATUS_CODE_ABORTED]}}").policy("/a.B/C")

    assert frozenset({int(Code.ABORTED)}) == policy.retry.codes


def test_tables_and_problems_say_what_they_hold():
    assert "<PolicyTable services=1 methods=1>" == repr(
        table("services: [{service: shop.v1.Shop, methods: [{method: Get, policy: {retry: {}}}]}]")
    )
    at = Problems()
    at.field("retry").add("wrong")
    assert "<Problems at the root: 1>" == repr(at)


def test_methods_of_an_unknown_service_are_one_problem_not_two():
    policies = json_format.ParseDict(
        {"services": [{"service": "shop.v1.Shpo", "methods": [{"method": "Get"}]}]}, config_pb2.Policies()
    )

    _, problems = load(policies, pool=described())

    assert ["policies.services[0].service"] == [problem.path for problem in problems]
