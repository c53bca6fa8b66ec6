"""What a reload leaves out is said, with the path of what changed."""

from __future__ import annotations

import pytest
import yaml
from google.protobuf import json_format

from mesh.config.restart import needed
from mesh.v1 import config_pb2


def environment(text: str) -> config_pb2.Environment:
    return json_format.ParseDict(yaml.safe_load(text) or {}, config_pb2.Environment())


OTEL = "trace: {engine: TRACE_ENGINE_OTEL_INSTRUMENTATION}"


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ("", "", []),
        ("", "policies: {defaults: {retry: {max_attempts: 4}}}", []),
        ("services: [{name: a}]", "services: [{name: b}]", ["services"]),
        ("", "gateway: {}", ["gateway"]),
        ("telemetry: {trace_ratio: 0.1}", "", ["telemetry"]),
        ("descriptors: [a]", "descriptors: [a, b]", ["descriptors"]),
        ("name: a", "name: b", ["name"]),
        (
            "",
            "policies: {defaults: {connection: {max_receive_bytes: 1}}}",
            ["policies.defaults.connection"],
        ),
        (
            "",
            "policies: {services: [{service: a}, {service: b, policy: {connection: {max_send_bytes: 1}}}]}",
            ["policies.services[1].policy.connection"],
        ),
        (
            "policies: {services: [{service: b, policy: {connection: {max_send_bytes: 1}}}]}",
            "",
            ['policies.services["b"].policy.connection'],
        ),
        (
            "",
            "policies: {defaults: {circuit_breaker: {scope: CIRCUIT_BREAKER_SCOPE_ENDPOINT}}}",
            ["policies.defaults.circuit_breaker"],
        ),
        ("", f"policies: {{defaults: {{{OTEL}}}}}", ["policies.defaults.trace.engine"]),
        (
            "",
            f"policies: {{services: [{{service: a, methods: [{{method: X}}, {{method: B, policy: {{{OTEL}}}}}]}}]}}",
            ["policies.services[0].methods[1].policy.trace.engine"],
        ),
        (
            f"policies: {{defaults: {{{OTEL}}}}}",
            f"policies: {{services: [{{service: a, policy: {{{OTEL}}}}}]}}",
            [],
        ),
    ],
)
def test_paths(old, new, paths):
    assert paths == [problem.path for problem in needed(environment(old), environment(new))]


def test_every_section_of_the_file_is_decided_about():
    """A new field of Environment must not be dropped silently."""
    whole = environment(
        "{name: a, services: [{name: b}], gateway: {}, telemetry: {}, descriptors: [c], policies: {defaults: {}}}"
    )
    assert {field.name for field, _ in whole.ListFields()} == set(whole.DESCRIPTOR.fields_by_name)

    assert set(whole.DESCRIPTOR.fields_by_name) - {"policies"} == {
        problem.path for problem in needed(config_pb2.Environment(), whole)
    }
