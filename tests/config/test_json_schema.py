"""The schema for editors takes what `document` takes, and refuses what can be said in JSON Schema to be wrong."""

from __future__ import annotations

import json
import pathlib
import re

import jsonschema
import pytest
import yaml

from mesh.config import document, json_schema
from mesh.generate import comment as protos
from mesh.v1 import config_pb2, policy_pb2

ROOT = pathlib.Path(__file__).parents[2]
SCHEMA = json_schema.render(config_pb2.Environment.DESCRIPTOR, {}, title="mesh.yaml")
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

_FENCE = re.compile(r"^```yaml \S*\.yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)
FILES = {
    str(file.relative_to(ROOT)): file.read_text() for file in sorted(ROOT.glob("examples/**/mesh.yaml"))
} | {
    f"{name}-{index}": text
    for name in ("README.md", "docs/policy.md")
    for index, text in enumerate(_FENCE.findall((ROOT / name).read_text()))
}


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator.check_schema(
        json_schema.render(policy_pb2.Policy.DESCRIPTOR, {}, title="policy")
    )


@pytest.mark.parametrize("name", FILES)
def test_every_file_of_the_repository_is_valid(name):
    VALIDATOR.validate(yaml.safe_load(FILES[name]))


def test_there_are_such_files():
    assert 3 <= len(FILES)


def read(text: str):
    """The file's problems by `document`, and by the schema."""
    problems = document.parse(text, config_pb2.Environment(), file="mesh.yaml").diagnostics
    errors = list(VALIDATOR.iter_errors(yaml.safe_load(text) or {}))
    return problems, errors


@pytest.mark.parametrize(
    "text",
    [
        "",
        "services:",
        "services: [{name: a, environment: {A: b}, startTimeout: 3s}]",
        "policies: {defaults: {retry: {max_attempts: 4, codes: [STATUS_CODE_ABORTED], backoff: {multiplier: 1.5}}}}",
        "policies: {defaults: {retry: {maxAttempts: '4'}, trace: }}",
        "policies: {defaults: {fallback: {response: {a: [1, {b: null}]}}}}",
        "policies: {defaults: {deadline: {default_timeout: 1.25s, hop_reserve: 0s}}}",
        "telemetry: {trace_ratio: '0.5', console: true}",
        "policies: {services: [{service: a.B, methods: [{method: C, policy: {metrics: {enabled: false}}}]}]}",
    ],
)
def test_what_is_taken(text):
    assert ([], []) == read(text)


@pytest.mark.parametrize(
    "text",
    [
        "servces: []",
        "services: {}",
        "services: [null]",
        "services: [{name: 1}]",
        "services: [{environment: {A: null}}]",
        "services: [{instances: -1}]",
        "services: [{instances: many}]",
        "policies: {defaults: {retry: {max_atempts: 4}}}",
        "policies: {defaults: {retry: {codes: STATUS_CODE_ABORTED}}}",
        "policies: {defaults: {retry: {codes: [ABORTED]}}}",
        "policies: {defaults: {retry: {scope: 1}}}",
        "policies: {defaults: {deadline: {default_timeout: 250ms}}}",
        "policies: {defaults: {deadline: {default_timeout: 1}}}",
        "policies: {defaults: {metrics: {enabled: 'yes'}}}",
        "policies: {defaults: {fallback: {method: Other, response: {}}}}",
        "policies: {defaults: {retry: 3}}",
    ],
)
def test_what_is_refused(text):
    problems, errors = read(text)

    assert problems
    assert errors


def test_comments_of_the_protos_describe_the_fields():
    from gateway.schema import comment

    comments = comment.read(protos.read("mesh/v1/config.proto"))
    schema = json_schema.render(config_pb2.Environment.DESCRIPTOR, comments, title="mesh.yaml")

    retry = schema["$defs"]["mesh.v1.Retry"]
    assert (
        "Attempts for one call, the first included; 2 to 10. Default: 3."
        == (retry["properties"]["max_attempts"]["description"])
    )
    assert retry["description"].startswith("Retry tries a failed attempt again")
    undescribed = [
        f"{name}.{field}"
        for name, definition in schema["$defs"].items()
        for field, one in definition["properties"].items()
        if "description" not in one
    ]
    assert [] == undescribed
    assert json.dumps(schema)
