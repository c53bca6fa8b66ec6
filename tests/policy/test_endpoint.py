"""Circuits of single endpoints are outlier detection of the channel, or are refused."""

from __future__ import annotations

import dataclasses

import pytest

from mesh.policy.connection import OutlierPolicy
from mesh.policy.problem import Problems
from mesh.policy.table import PolicyTable, load
from mesh.v1 import policy_pb2
from tests.policy.test_table import described, policies, table

ENDPOINT = policy_pb2.CIRCUIT_BREAKER_SCOPE_ENDPOINT
HERE = "policies.defaults.circuit_breaker"


def circuit(text: str = "") -> str:
    return f"circuit_breaker: {{scope: CIRCUIT_BREAKER_SCOPE_ENDPOINT{text and ', ' + text}}}"


@pytest.mark.parametrize(("ratio", "percent"), [(0.5, 49), (1.0, 99), (0.25, 24), (0.001, 0), (0.333, 33)])
def test_a_ratio_is_the_percentage_above_which_the_core_ejects(ratio, percent):
    """A circuit opens when the ratio is reached; the core ejects what is above its threshold."""
    made = table(f"defaults: {{{circuit(f'failure_ratio: {ratio}')}}}")

    assert percent == made.connection().outlier.failure_percent


def test_every_setting_is_the_cores():
    made = table(
        f"defaults: {{{circuit('failure_ratio: 0.2, minimum_calls: 7, window: 3s, open_for: 4s, max_open_for: 50s')}}}"
    )

    assert made.connection().outlier == OutlierPolicy(
        interval=3.0, base_ejection_time=4.0, max_ejection_time=50.0, failure_percent=19, request_volume=7
    )


def test_those_of_a_service_are_its_channels():
    made = table(f"services: [{{service: a.B, policy: {{{circuit()}}}}}]")

    assert made.connection(["a.B"]).outlier is not None
    assert made.connection([]).outlier is None


@pytest.mark.parametrize(
    "text", ["circuit_breaker: {}", "circuit_breaker: {enabled: false}", circuit("enabled: false")]
)
def test_other_circuits_are_no_setting_of_a_channel(text):
    assert table(f"defaults: {{{text}}}").connection().outlier is None


def test_the_chain_learns_of_it():
    policy = table(f"defaults: {{{circuit()}}}", described()).policy("/shop.v1.Shop/Get").circuit_breaker

    assert policy.outlier is not None
    assert dataclasses.replace(policy, failure_ratio=None).outlier is None


ALONE = (
    "circuits of single endpoints open by `failure_ratio` alone and are not probed (gRPC's outlier detection); "
    "leave it out, or choose another scope"
)
WHOLE = "circuits of single endpoints hold for the whole service; write them in the service's policy"
REFUSED = [
    (f"defaults: {{{circuit('consecutive_failures: 5')}}}", [f"{HERE}.consecutive_failures: {ALONE}"]),
    (
        f"defaults: {{{circuit('slow_call_ratio: 0.5, slow_call_duration: 1s')}}}",
        [f"{HERE}.slow_call_ratio: {ALONE}", f"{HERE}.slow_call_duration: {ALONE}"],
    ),
    (f"defaults: {{{circuit('half_open_probes: 2')}}}", [f"{HERE}.half_open_probes: {ALONE}"]),
    (
        f"defaults: {{{circuit('failure_ratio: 0')}}}",
        [
            (
                f"{HERE}.failure_ratio: it is the one rule of circuits of single endpoints; "
                "say `enabled: false` to switch them off"
            ),
        ],
    ),
    (
        f"defaults: {{{circuit()}, connection: {{outlier_detection: {{}}}}}}",
        [f"{HERE}.scope: `connection.outlier_detection` ejects endpoints already; write one of the two"],
    ),
    (
        f"defaults: {{{circuit()}, connection: {{load_balancing: LOAD_BALANCING_PICK_FIRST}}}}",
        [f"{HERE}.scope: with pick_first there is nothing to eject; balance by round robin"],
    ),
    (
        f"services: [{{service: a.B, methods: [{{method: C, policy: {{{circuit()}}}}}]}}]",
        [f"policies.services[0].methods[0].policy.circuit_breaker: {WHOLE}"],
    ),
    (
        (
            f"services: [{{service: a.B, policy: {{{circuit()}}}, "
            "methods: [{method: C, policy: {circuit_breaker: {failure_ratio: 0.1}}}]}]"
        ),
        [f"policies.services[0].methods[0].policy.circuit_breaker: {WHOLE}"],
    ),
]


@pytest.mark.parametrize(("text", "expected"), REFUSED)
def test_what_is_refused(text, expected):
    _, problems = load(policies(text))

    assert expected == [str(problem) for problem in problems]


def test_rules_that_are_switched_off_and_detection_that_is_off_may_be_written():
    text = circuit("consecutive_failures: 0, slow_call_ratio: 0")

    assert table(f"defaults: {{{text}, connection: {{outlier_detection: {{enabled: false}}}}}}")


@pytest.mark.parametrize(
    ("noted", "environment"),
    [({"scope": ENDPOINT}, ""), ({"failure_ratio": 0.1}, f"defaults: {{{circuit()}}}")],
)
def test_a_proto_cannot_decide_on_them(noted, environment):
    pool = described(Get=policy_pb2.Policy(circuit_breaker=noted))
    made = table(environment, pool) if environment else PolicyTable(pool=pool)
    at = Problems("Get")

    made.policy("/shop.v1.Shop/Get", at)

    assert [
        (
            "Get.circuit_breaker: a proto cannot decide on circuits of single endpoints; "
            "write them in the environment's policies"
        )
    ] == [str(problem) for problem in at.list]
