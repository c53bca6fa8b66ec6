"""What text is accepted for a message, and what is said of the rest: every problem, with its path and line."""

import json
import textwrap

import pytest
import yaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    json_format,
    message_factory,
    struct_pb2,
    wrappers_pb2,
)
from hypothesis import given
from hypothesis import strategies as st

from mesh.config.document import parse
from mesh.v1 import config_pb2, policy_pb2


def read(text, message=None):
    return parse(textwrap.dedent(text), message or config_pb2.Environment(), file="mesh.yaml")


PROBLEMS = [
    # Not YAML at all: the column too.
    ("services: [1,\nb: 2\n", "mesh.yaml:3:1: not YAML: while parsing a flow sequence, from line 1, did not find expected ',' or ']'"),
    ("services:\n\t- name: a", "mesh.yaml:2:1: not YAML: while scanning for the next token, from line 2, found character that cannot start any token"),
    ("services: []\n---\nb: 2\n", "mesh.yaml:2:1: not YAML: expected a single document in the stream, from line 1, but found another document"),
    ("services: *nope", "mesh.yaml:1:11: not YAML: found undefined alias"),
    ("# é\nservices: \x01", "mesh.yaml:2:11: not YAML: control characters are not allowed (character 0x1)"),
    ("services: &x\n- command: *x\n", "mesh.yaml:1: an anchor holds itself"),
    # Structure.
    ("- x", "mesh.yaml: a list is not a mapping of the fields of mesh.v1.Environment"),
    ("? [a]\n: b", "mesh.yaml: a key of a mapping must be text, on line 1"),
    ("serivces: []", 'mesh.yaml:1: serivces: unknown field; did you mean "services"?'),
    ("zzz: []", "mesh.yaml:1: zzz: unknown field; known: services, policies, gateway, telemetry, descriptors, name"),
    ("services:\n- name: a\n- name: b\n  name: c", "mesh.yaml:3: services[1].name: given twice, on line 3 and on line 4"),
    ("services:\n- start_timeout: 1s\n  startTimeout: 2s", "mesh.yaml:2: services[0].start_timeout: given twice, on line 2 and on line 3"),
    ("services: x", 'mesh.yaml:1: services: "x" is not a list'),
    ("services: {name: a}", "mesh.yaml:1: services: a mapping is not a list"),
    ("services:\n- 3", 'mesh.yaml:2: services[0]: "3" is not a mapping of the fields of mesh.v1.Service'),
    ("services:\n- command: [a, ~]", "mesh.yaml:2: services[0].command[1]: an element of a list must not be empty"),
    ("services:\n- environment: [a]", "mesh.yaml:2: services[0].environment: a list is not a mapping"),
    ("services:\n- environment: {A: }", 'mesh.yaml:2: services[0].environment["A"]: a value of a mapping must not be empty'),
    ("services:\n- environment: {A: x,\n   A: y}", 'mesh.yaml:2: services[0].environment["A"]: given twice, on line 2 and on line 3'),
    ("gateway:\n  <<: 3", 'mesh.yaml:1: gateway: "3" cannot be merged: << takes mappings, on line 2'),
    # Values.
    ("services:\n- name: 12", 'mesh.yaml:2: services[0].name: 12 is a number in YAML, and this field is text: write "12"'),
    ("services:\n- name: no", 'mesh.yaml:2: services[0].name: no is a boolean in YAML, and this field is text: write "no"'),
    ("services:\n- name: [a]", "mesh.yaml:2: services[0].name: a list is not text"),
    ("services:\n- name: !!python/object x", "mesh.yaml:2: services[0].name: \"x\" is not a value: could not determine a constructor for the tag 'tag:yaml.org,2002:python/object'"),
    ("services:\n- instances: two", 'mesh.yaml:2: services[0].instances: "two" is not a whole number from 0 to 4294967295'),
    ("services:\n- instances: -1", 'mesh.yaml:2: services[0].instances: "-1" is not a whole number from 0 to 4294967295'),
    ("services:\n- instances: true", 'mesh.yaml:2: services[0].instances: "true" is not a whole number from 0 to 4294967295'),
    ("services:\n- environment: {A: 1}", 'mesh.yaml:2: services[0].environment["A"]: 1 is a number in YAML, and this field is text: write "1"'),
    ("services:\n- start_timeout: 300ms", 'mesh.yaml:2: services[0].start_timeout: "300ms" is not a duration: durations are in seconds, write 0.3s'),
    ("services:\n- start_timeout: 1.5h", 'mesh.yaml:2: services[0].start_timeout: "1.5h" is not a duration: durations are in seconds, write 5400s'),
    ("services:\n- start_timeout: 3", 'mesh.yaml:2: services[0].start_timeout: "3" is not a duration: durations are in seconds, write 3s'),
    ("services:\n- start_timeout: soon", 'mesh.yaml:2: services[0].start_timeout: "soon" is not a duration, such as "1.5s"'),
    ("services:\n- start_timeout: {seconds: 3}", 'mesh.yaml:2: services[0].start_timeout: a mapping is not a duration, such as "1.5s"'),
    ("telemetry:\n  console: 'true'", 'mesh.yaml:2: telemetry.console: "true" is not true or false'),
    ("telemetry:\n  trace_ratio: half", 'mesh.yaml:2: telemetry.trace_ratio: "half" is not a number'),
    ("telemetry:\n  trace_ratio: on", 'mesh.yaml:2: telemetry.trace_ratio: "on" is not a number'),
    ("gateway: {unknown_query: ignore}", 'mesh.yaml:1: gateway.unknown_query: "ignore" is not a value of UnknownQuery; did you mean "UNKNOWN_QUERY_IGNORE"?'),
    ("gateway: {unknown_query: UNKNOWN_QUERY_IGNOR}", 'mesh.yaml:1: gateway.unknown_query: "UNKNOWN_QUERY_IGNOR" is not a value of UnknownQuery; did you mean "UNKNOWN_QUERY_IGNORE"?'),
    ("gateway: {unknown_query: 2}", 'mesh.yaml:1: gateway.unknown_query: "2" is not a value of UnknownQuery; known: UNKNOWN_QUERY_REFUSE, UNKNOWN_QUERY_IGNORE'),
    ("policies:\n  defaults:\n    retry:\n      codes: [STATUS_CODE_ABORTED,\n        UNAVAILABLE]", 'mesh.yaml:5: policies.defaults.retry.codes[1]: "UNAVAILABLE" is not a value of StatusCode; did you mean "STATUS_CODE_UNAVAILABLE"?'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), PROBLEMS)
def test_says_what_is_wrong_and_where(text, expected):
    assert [expected] == [str(diagnostic) for diagnostic in read(text).diagnostics]


def test_what_is_nested_too_deeply_is_said():
    document = parse("a: " + "[" * 3000 + "]" * 3000, config_pb2.Environment(), file="mesh.yaml")

    assert [str(found) for found in document.diagnostics] == ["mesh.yaml: nested too deeply"]


def test_collects_every_problem_in_the_order_of_the_file():
    document = read(
        """\
        telemetry: {trace_ratio: x}
        services:
          - name: 1
            instances: two
          - nam: b
        """
    )

    assert [(diagnostic.path, diagnostic.line) for diagnostic in document.diagnostics] == [
        ("telemetry.trace_ratio", 1),
        ("services[0].name", 3),
        ("services[0].instances", 4),
        ("services[1].nam", 5),
    ]


def test_fields_with_problems_are_left_out_and_the_others_are_read():
    document = read("services: [{name: a, instances: x}]")

    assert config_pb2.Environment(services=[{"name": "a"}]) == document.message


def test_knows_the_line_of_every_path():
    document = read(
        """\
        services:
        - name: a
          environment:
            KEY: x
        gateway:
        """
    )

    assert document.lines == {
        "services": 1,
        "services[0]": 2,
        "services[0].name": 2,
        "services[0].environment": 3,
        'services[0].environment["KEY"]': 4,
        "gateway": 5,
    }


def test_accepts_the_json_names_too_and_reports_proto_names():
    document = read("services: [{startTimeout: 1.5s}]")

    assert document.message.services[0].start_timeout.ToTimedelta().total_seconds() == 1.5
    assert "services[0].start_timeout" in document.lines


def test_null_is_absence():
    document = read("services: ~\ngateway:\ntelemetry: {console: null}")

    assert not document.diagnostics
    assert not document.message.HasField("gateway")
    assert not document.message.telemetry.HasField("console")


def test_an_empty_section_is_present():
    assert read("gateway: {}").message.HasField("gateway")


def test_an_empty_file_is_an_empty_message():
    assert config_pb2.Environment() == read("").message
    assert config_pb2.Environment() == read("# nothing\n").message


def test_a_written_zero_is_present():
    assert read("services: [{instances: 0}]").message.services[0].HasField("instances")


def test_merge_keys_bring_what_is_not_written_out():
    document = read(
        """\
        services:
        - &base
          name: a
          stop_timeout: 2s
          environment: &vars {A: x, B: y}
        - <<: *base
          name: b
          environment:
            <<: [*vars]
            B: z
        """
    )

    assert not document.diagnostics
    second = document.message.services[1]
    assert (
        second.name,
        second.stop_timeout.seconds,
        dict(second.environment),
    ) == ("b", 2, {"A": "x", "B": "z"})


def _tree():
    """Return a message of a schema made here: the mesh's own have no oneof and no map of messages yet."""
    file = descriptor_pb2.FileDescriptorProto(name="tree.proto", package="tree", syntax="proto3")
    node = file.message_type.add(name="Node", oneof_decl=[{"name": "kind"}])
    node.field.add(name="number", number=1, type=1, label=1, oneof_index=0)
    node.field.add(name="text", number=2, type=9, label=1, oneof_index=0)
    node.field.add(name="children", number=3, type=11, label=3, type_name=".tree.Node.ChildrenEntry")
    node.field.add(name="wrapped", number=4, type=11, label=1, type_name=".google.protobuf.Int64Value")
    node.field.add(name="anything", number=5, type=11, label=3, type_name=".google.protobuf.Value")
    node.field.add(name="data", number=6, type=12, label=1)
    entry = node.nested_type.add(name="ChildrenEntry", options={"map_entry": True})
    entry.field.add(name="key", number=1, type=5, label=1)
    entry.field.add(name="value", number=2, type=11, label=1, type_name=".tree.Node")
    file.dependency.extend(["google/protobuf/wrappers.proto", "google/protobuf/struct.proto"])
    pool = descriptor_pool.DescriptorPool()
    for dependency in (wrappers_pb2, struct_pb2):
        pool.AddSerializedFile(dependency.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tree.Node"))()


TREE_PROBLEMS = [
    ("number: 1\ntext: x", "mesh.yaml:2: text: cannot be given together with number"),
    (
        "children:\n  1:\n    nmber: 1",
        'mesh.yaml:3: children["1"].nmber: unknown field; did you mean "number"?',
    ),
    ("children:\n  one: {}", 'mesh.yaml:2: children["one"]: "one" cannot be a key of this mapping'),
    ("children:\n  1: ~", 'mesh.yaml:2: children["1"]: a value of a mapping must not be empty'),
    ("wrapped: x", 'mesh.yaml:1: wrapped: "x" is not a google.protobuf.Int64Value as ProtoJSON writes it'),
    ("data: A", 'mesh.yaml:1: data: "A" is not base64 text'),
]


@pytest.mark.parametrize(("text", "expected"), TREE_PROBLEMS)
def test_says_what_is_wrong_with_any_message(text, expected):
    assert [expected] == [str(diagnostic) for diagnostic in read(text, _tree()).diagnostics]


def test_reads_any_message():
    document = read(
        """\
        children: {1: {wrapped: "5"}, 2: {children: {3: {text: x}}}}
        anything: [~, {a: [1, true]}, 2024-01-01]
        data: AAE=
        """,
        _tree(),
    )

    assert not document.diagnostics
    assert json_format.MessageToDict(document.message) == {
        "children": {"1": {"wrapped": "5"}, "2": {"children": {"3": {"text": "x"}}}},
        "anything": [None, {"a": [1.0, True]}, "2024-01-01"],
        "data": "AAE=",
    }


@given(
    st.builds(
        policy_pb2.Policy,
        deadline=st.builds(
            policy_pb2.Deadline,
            enabled=st.booleans(),
            default_timeout=st.builds(lambda n: {"nanos": n}, st.integers(0, 999_999_999)),
        ),
        retry=st.builds(
            policy_pb2.Retry,
            max_attempts=st.integers(0, 2**32 - 1),
            codes=st.lists(st.integers(0, 16), max_size=4),
            backoff=st.builds(
                policy_pb2.Backoff, multiplier=st.floats(allow_nan=False, allow_infinity=False)
            ),
        ),
        connection=st.builds(
            policy_pb2.Connection, health_check=st.builds(policy_pb2.HealthCheck, service_name=st.text())
        ),
    )
)
def test_reads_what_json_format_writes(message):
    """The resolved environment is written so, and read back by its processes."""
    text = yaml.dump(json_format.MessageToDict(message), Dumper=yaml.CSafeDumper)

    document = read(text, policy_pb2.Policy())

    assert not document.diagnostics
    assert message == document.message


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["services", "name", "instances", "environment", "policies", "defaults", "retry", "<<"]) | st.text(), inner)))  # fmt: skip
def test_never_raises_whatever_the_file_holds(value):
    document = read(json.dumps(value))

    assert all(diagnostic.message for diagnostic in document.diagnostics)
