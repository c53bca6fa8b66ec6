"""What google.api.http annotations come to, and every problem they can have."""

from __future__ import annotations

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet

from gateway.route.table import Skipped, read
from gateway.schema.pool import read_set
from tests.gateway.bind.api import trie_of
from tests.protoc import service_set

MESSAGES = """
message Inner { string id = 1; google.protobuf.Timestamp at = 2; }
message M {
  string name = 1;
  int32 size = 2;
  repeated string tags = 3;
  map<string, string> labels = 4;
  Inner inner = 5;
  repeated Inner inners = 6;
  google.protobuf.StringValue nick = 7;
}
"""


def table_of(methods, **options):
    data = service_set(MESSAGES + "service S {" + methods + "}")
    schema, problems = read_set(data)
    assert problems == ()
    return read(schema.services, **options)


def one(rule, name="X", shape="(M) returns (M)"):
    return f"rpc {name}{shape} {{ option (google.api.http) = {{ {rule} }}; }}\n"


def rows(table):
    return [
        (b.http_method, str(b.template), b.body, b.response_body, b.method.name, b.declared)
        for b in table.bindings
    ]


READ = [
    # rule, annotation, bindings
    ("get", 'get: "/v1/x"', [("GET", "/v1/x", "", "")]),
    ("put", 'put: "/v1/x" body: "*"', [("PUT", "/v1/x", "*", "")]),
    ("post with a body field", 'post: "/v1/x" body: "inner"', [("POST", "/v1/x", "inner", "")]),
    ("delete", 'delete: "/v1/{name}"', [("DELETE", "/v1/{name}", "", "")]),
    ("patch", 'patch: "/v1/{inner.id}" body: "inner"', [("PATCH", "/v1/{inner.id}", "inner", "")]),
    ("a repeated body field", 'post: "/v1/x" body: "inners"', [("POST", "/v1/x", "inners", "")]),
    ("response_body", 'get: "/v1/x" response_body: "tags"', [("GET", "/v1/x", "", "tags")]),
    ("a custom kind", 'custom { kind: "HEAD" path: "/v1/x" }', [("HEAD", "/v1/x", "", "")]),
    ("any method", 'custom { kind: "*" path: "/v1/x" }', [("*", "/v1/x", "", "")]),
    (
        "a variable of a message that is one text",
        'get: "/v1/{inner.at}/{nick}"',
        [("GET", "/v1/{inner.at}/{nick}", "", "")],
    ),
    (
        "additional bindings, in order",
        'get: "/v1/{name}" additional_bindings { get: "/v1/y/{name}" } additional_bindings { post: "/v1/{name}:x" body: "*" }',
        [("GET", "/v1/{name}", "", ""), ("GET", "/v1/y/{name}", "", ""), ("POST", "/v1/{name}:x", "*", "")],
    ),
]


@pytest.mark.parametrize(("rule", "expected"), [row[1:] for row in READ], ids=[row[0] for row in READ])
def test_an_annotation_is_read(rule, expected):
    table, problems = table_of(one(rule))
    assert problems == ()
    assert rows(table) == [(*row, "X", True) for row in expected]


AT = "t.v1.S.X (google.api.http)"
WRONG = [
    # rule, annotation, problems
    ("no pattern", 'body: "*"', [f"{AT}: one of get, put, post, delete, patch or custom is required"]),
    ("empty path", 'get: ""', [f"{AT}.get: the path is empty"]),
    ("bad template", 'get: "/v1/{name"', [f"{AT}.get: \"/v1/{{name\" column 10: expected '}}'"]),
    (
        "unknown variable",
        'get: "/v1/{nmae}"',
        [f'{AT}.get: "nmae": t.v1.M has no field "nmae"; did you mean "name"?'],
    ),
    ("unknown nested", 'get: "/v1/{inner.x}"', [f'{AT}.get: "inner.x": t.v1.Inner has no field "x"']),
    (
        "through a scalar",
        'get: "/v1/{name.x}"',
        [f'{AT}.get: "name.x": t.v1.M.name is not a singular message'],
    ),
    (
        "through a list",
        'get: "/v1/{inners.id}"',
        [f'{AT}.get: "inners.id": t.v1.M.inners is not a singular message'],
    ),
    (
        "repeated",
        'get: "/v1/{tags}"',
        [f'{AT}.get: "tags": a path variable must not be a repeated or map field'],
    ),
    (
        "map",
        'get: "/v1/{labels}"',
        [f'{AT}.get: "labels": a path variable must not be a repeated or map field'],
    ),
    ("message", 'get: "/v1/{inner}"', [f'{AT}.get: "inner": a path variable must not be a message']),
    ("unknown body", 'post: "/v1" body: "bdy"', [f'{AT}.body: "bdy" is not a top-level field of t.v1.M']),
    (
        "a body that the path binds",
        'post: "/v1/{name}" body: "name"',
        [f'{AT}.body: "name" is a path variable already'],
    ),
    (
        "nested body",
        'post: "/v1" body: "inner.id"',
        [f'{AT}.body: "inner.id" is not a top-level field of t.v1.M; did you mean "inner"?'],
    ),
    (
        "unknown response_body",
        'get: "/v1" response_body: "label"',
        [f'{AT}.response_body: "label" is not a top-level field of t.v1.M; did you mean "labels"?'],
    ),
    (
        "custom kind",
        'custom { kind: "G T" path: "/v1" }',
        [f'{AT}.custom.kind: "G T" is not the name of an HTTP method'],
    ),
    (
        "custom kind in small letters",
        'custom { kind: "Purge" path: "/v1" }',
        [f'{AT}.custom.kind: "Purge" would match no request: write "PURGE"'],
    ),
    ("custom path", 'custom { kind: "HEAD" }', [f"{AT}.custom.path: the path is empty"]),
    (
        "custom wildcard",
        'custom { kind: "*X" path: "/v1" }',
        [f'{AT}.custom.kind: "*X": only "*" alone stands for any method'],
    ),
    (
        "deep nesting",
        'get: "/v1" additional_bindings { get: "/v2" additional_bindings { get: "/v3" } }',
        [f"{AT}.additional_bindings[0].additional_bindings: bindings may be nested one level deep only"],
    ),
    (
        "all problems at once",
        'get: "/v1/{q}" response_body: "q" additional_bindings { get: "v1" } additional_bindings { get: "/v1/{z}" }',
        [
            f'{AT}.get: "q": t.v1.M has no field "q"',
            f'{AT}.response_body: "q" is not a top-level field of t.v1.M',
            f"{AT}.additional_bindings[0].get: \"v1\" column 1: a template starts with '/'",
            f'{AT}.additional_bindings[1].get: "z": t.v1.M has no field "z"',
        ],
    ),
    (
        "a conflict within one method",
        'get: "/v1/{name}" additional_bindings { get: "/v1/{nick=*}" }',
        [
            f'{AT}.additional_bindings[0].get: "GET /v1/{{nick=*}}" matches the same requests as {AT}.get ("/v1/{{name}}")'
        ],
    ),
]


@pytest.mark.parametrize(("rule", "expected"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_every_problem_is_reported_with_its_path(rule, expected):
    _, problems = table_of(one(rule))
    assert [str(problem) for problem in problems] == expected


def test_a_conflict_names_both_owners_and_the_first_keeps_the_route():
    table, problems = table_of(
        one('get: "/v1/{name}"', "A") + one('get: "/v1/{nick}"', "B") + one('put: "/v1/{nick}"', "C")
    )
    (problem,) = problems
    assert str(problem) == (
        't.v1.S.B (google.api.http).get: "GET /v1/{nick}" matches the same requests as '
        't.v1.S.A (google.api.http).get ("/v1/{name}")'
    )
    assert [binding.method.name for binding in table.bindings] == ["A", "C"]


def test_a_method_without_an_annotation_is_posted_under_its_own_name():
    table, problems = table_of("rpc X(M) returns (M); rpc Y(M) returns (stream M);")
    assert problems == ()
    assert rows(table) == [
        ("POST", "/t.v1.S/X", "*", "", "X", False),
        ("POST", "/t.v1.S/Y", "*", "", "Y", False),
    ]
    assert table.bindings[0].full_method == "/t.v1.S/X"
    found = trie_of(table).find("POST", "/t.v1.S/X")
    assert found.route is table.bindings[0]


def test_a_method_without_an_annotation_can_be_left_out():
    table, _ = table_of("rpc X(M) returns (M);" + one('get: "/v1"', "Y"), unannotated=False)
    assert [binding.method.name for binding in table.bindings] == ["Y"]
    assert table.skipped == (Skipped("t.v1.S.X", "it has no google.api.http annotation"),)


@pytest.mark.parametrize("shape", ["(stream M) returns (M)", "(stream M) returns (stream M)"])
def test_a_method_whose_client_streams_is_mapped_like_any_other(shape):
    table, problems = table_of(
        f"rpc X{shape};"
        + one('post: "/v1" body: "*"', "Y", shape)
        + one('post: "/v1/{name}" body: "inner"', "Z", shape)
        + one('get: "/v1/{name}"', "W", shape)
    )
    assert problems == ()
    assert rows(table) == [
        ("POST", "/t.v1.S/X", "*", "", "X", False),
        ("POST", "/v1", "*", "", "Y", True),
        ("POST", "/v1/{name}", "inner", "", "Z", True),
        ("GET", "/v1/{name}", "", "", "W", True),
    ]
    assert table.skipped == ()


def test_hundreds_of_annotated_methods_load_():
    file = FileDescriptorProto(name="many.proto", package="many.v1", syntax="proto3")
    file.dependency.append("google/api/annotations.proto")
    file.message_type.add(name="M").field.add(
        name="name",
        number=1,
        type=FieldDescriptorProto.TYPE_STRING,
        label=FieldDescriptorProto.LABEL_OPTIONAL,
    )
    for index in range(20):
        service = file.service.add(name=f"S{index}")
        for position in range(16):
            method = service.method.add(
                name=f"M{position}", input_type=".many.v1.M", output_type=".many.v1.M"
            )
            rule = method.options.Extensions[annotations_pb2.http]
            rule.get = f"/v1/s{index}/m{position}/{{name=a/*/b/**}}"
            rule.additional_bindings.add(post=f"/v1/s{index}/m{position}/{{name}}:run", body="*")
    schema, problems = read_set(FileDescriptorSet(file=[file]).SerializeToString())
    table, more = read(schema.services)
    trie = trie_of(table)
    assert (problems, more) == ((), ())
    assert len(table.bindings) == 640
    found = trie.find("GET", "/v1/s19/m15/a/x/b/y/z")
    assert found.route.full_method == "/many.v1.S19/M15"
    assert found.captures == ("a/x/b/y/z",)
