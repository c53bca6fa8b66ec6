"""Who wrote what: the same layers as are enforced, each field with its winner, and the losers in order."""

from __future__ import annotations

import pytest
from google.protobuf import json_format

from mesh.policy import provenance
from mesh.policy.annotation import UNKNOWN, Annotation
from mesh.policy.connection import ConnectionPolicy
from mesh.policy.merge import builtin, merge
from mesh.policy.policy import Policy
from mesh.policy.problem import Problems
from mesh.policy.provenance import Origin
from mesh.v1 import config_pb2, policy_pb2
from tests.policy.test_table import policies

GET = "/shop.v1.Shop/Get"


def trace(text: str, noted: Annotation = UNKNOWN) -> provenance.Provenance:
    return provenance.trace(provenance.layers(policies(text), noted, GET), idempotent=noted.idempotent)


def origins(text: str, noted: Annotation = UNKNOWN) -> dict[str, Origin]:
    return {origin.field: origin for origin in trace(text, noted).origins}


def shown(origin: Origin) -> tuple[str, str | None, list[tuple[str, str]]]:
    winner = None if origin.winner is None else origin.winner.path
    return origin.value, winner, [(layer.name, value) for layer, value in origin.over]


def test_the_most_specific_wins_over_all_others_in_order():
    noted = Annotation(
        policy_pb2.Policy(retry={"max_attempts": 2}),
        policy_pb2.Policy(retry={"max_attempts": 3}),
        idempotent=True,
    )
    text = """
    defaults: {retry: {max_attempts: 4}}
    services:
    - {service: else.Where, policy: {retry: {max_attempts: 9}}}
    - service: shop.v1.Shop
      policy: {retry: {max_attempts: 5}}
      methods:
      - {method: Buy, policy: {retry: {max_attempts: 8}}}
      - {method: Get, policy: {retry: {max_attempts: 6}}}
    """

    found = origins(text, noted)

    assert (
        "6",
        "policies.services[1].methods[1].policy",
        [("service", "5"), ("defaults", "4"), ("method option", "3"), ("service option", "2")],
    ) == shown(found["retry.max_attempts"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("retry.max_attempts", "3"),
        ("retry.codes", "[STATUS_CODE_UNAVAILABLE]"),
        ("retry.scope", "RETRY_SCOPE_IDEMPOTENT"),
        ("retry.backoff.base", "0.025s"),
        ("retry.backoff.jitter", "JITTER_FULL"),
        ("retry.enabled", "true"),
        ("deadline.default_timeout", "15s, none for a stream of answers"),
        ("deadline.max_timeout", "none"),
        ("connection.load_balancing", "LOAD_BALANCING_ROUND_ROBIN"),
        ("connection.keepalive.enabled", "true"),
        ("connection.keepalive.interval", "300s"),
    ],
)
def test_what_nobody_wrote_is_built_in(field, value):
    assert (value, None, []) == shown(origins("")[field])


def test_what_is_shown_as_built_in_is_what_is_enforced():
    """Writing every shown value changes nothing."""
    found = origins("")
    merged = merge(builtin(), policies("").defaults)
    tree: dict = {}
    for field, origin in found.items():
        if origin.value == "none" or field == "deadline.default_timeout":
            continue
        *parents, name = field.split(".")
        inner = tree
        for part in parents:
            inner = inner.setdefault(part, {})
        value = origin.value
        listed = value.startswith("[")
        inner[name] = value[1:-1].split(", ") if listed else {"true": True, "false": False}.get(value, value)
    written = merge(merged, json_format.ParseDict(tree, policy_pb2.Policy()))

    assert Policy.read(merged, Problems()) == Policy.read(written, Problems())
    assert ConnectionPolicy.read(merged.connection, Problems()) == ConnectionPolicy.read(
        written.connection, Problems()
    )


def test_a_section_that_is_off_is_one_line():
    found = origins("defaults: {retry: {enabled: false, max_attempts: 4}}")

    assert ("false", "policies.defaults", []) == shown(found["retry.enabled"])
    assert "retry.max_attempts" not in found


def test_a_part_that_is_off_is_one_line():
    found = origins("defaults: {connection: {keepalive: {enabled: false, interval: 20s}}}")

    assert ("false", "policies.defaults", []) == shown(found["connection.keepalive.enabled"])
    assert "connection.keepalive.interval" not in found
    assert "connection.outlier_detection.enabled" not in found


def test_whoever_writes_in_a_section_first_switched_it_on():
    found = origins(
        "{defaults: {access_log: {}}, services: [{service: shop.v1.Shop, policy: {access_log: {}}}]}"
    )

    assert ("true", "policies.defaults", []) == shown(found["access_log.enabled"])


def test_sections_that_nobody_wrote_are_listed():
    assert "access_log" in trace("").absent
    assert "access_log" not in trace("defaults: {access_log: {}}").absent


def test_of_a_oneof_the_other_field_has_lost():
    found = origins(
        "{defaults: {fallback: {method: Other}}, services: [{service: shop.v1.Shop, policy: {fallback: {response: {}}}}]}"
    )

    assert ("{}", "policies.services[0].policy", [("defaults", "method Other")]) == shown(
        found["fallback.response"]
    )
    assert "fallback.method" not in found


def test_lists_and_rules_are_shown_whole():
    text = """
    defaults:
      required: [retry]
      retry: {codes: [STATUS_CODE_ABORTED, STATUS_CODE_INTERNAL]}
      route: {rules: [{to: [{subset: next, weight: 5}]}]}
    """
    found = origins(text)

    assert "[retry]" == found["required"].value
    assert "[STATUS_CODE_ABORTED, STATUS_CODE_INTERNAL]" == found["retry.codes"].value
    assert '[{"to": [{"subset": "next", "weight": 5}]}]' == found["route.rules"].value


def test_the_layers_are_those_of_the_table():
    """Laid on top of each other they are what PolicyTable merges."""
    text = "{defaults: {retry: {max_attempts: 4}}, services: [{service: shop.v1.Shop, policy: {retry: {max_attempts: 5}}}]}"
    parts = provenance.layers(policies(text), UNKNOWN, GET)

    assert 5 == merge(builtin(), *(layer.policy for layer in parts)).retry.max_attempts
    assert isinstance(policies(text), config_pb2.Policies)


def test_durations_are_shown_in_seconds():
    origin = origins("defaults: {deadline: {default_timeout: 0.5s}}")["deadline.default_timeout"]

    assert "0.5s" == shown(origin)[0]
