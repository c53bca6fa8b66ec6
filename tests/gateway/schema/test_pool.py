"""How descriptor sets become a schema, and every problem they can have."""

from __future__ import annotations

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet

from gateway.schema.pool import read_files, read_set
from tests.protoc import PREAMBLE, descriptor_set, message_class, service_set

GREETER = """
// Greets.
service Greeter {
  // Says hello.
  //
  // Twice.
  rpc Hello(Request) returns (Request); // trailing words of Hello
}
message Request {
  string name = 1; // Whom to greet.
  Kind kind = 2;
  oneof how { string a = 3; string b = 4; }
  message Nested {
    /* In a block. */
    int32 x = 1;
  }
}
// buf:lint:ignore ENUM
// How warm.
enum Kind { COLD = 0; // Brr.
  WARM = 1; }
"""


def file(name, *imports, package="t.v1", service="", field_type=""):
    proto = FileDescriptorProto(name=name, package=package, syntax="proto3", dependency=imports)
    message = proto.message_type.add(name=f"M{name.split('.', maxsplit=1)[0].title()}")
    if field_type:
        message.field.add(
            name="x", number=1, label=1, type=FieldDescriptorProto.TYPE_MESSAGE, type_name=field_type
        )
    if service:
        kind = f".{package}.{message.name}" if package else f".{message.name}"
        proto.service.add(name=service).method.add(name="X", input_type=kind, output_type=kind)
    return proto


def problems_of(*files, services=()):
    return [str(problem) for problem in read_files(files, services)[1]]


def names(schema):
    return [service.full_name for service in schema.services]


def test_a_set_is_loaded_whatever_the_order_of_its_files():
    files = [file("a.proto", "b.proto", service="S"), file("b.proto", "c.proto"), file("c.proto")]
    for order in (files, files[::-1]):
        schema, problems = read_files(order)
        assert (names(schema), problems) == (["t.v1.S"], ())


def test_imports_that_every_gateway_has_may_be_missing():
    schema, problems = read_set(service_set(GREETER, imports=False))
    assert problems == ()
    assert message_class(schema, "t.v1.Request")(name="x").name == "x"
    assert schema.services[0].methods[0].input_type.full_name == "t.v1.Request"


def test_a_missing_import_of_a_known_package_under_another_python_name_is_found():
    # google.longrunning.operations_pb2 describes "operations_proto.proto": the import goes by the proto's own name.
    assert problems_of(file("a.proto", "google/longrunning/operations.proto", service="S")) == []


def test_options_are_readable_whatever_pool_they_come_from():
    schema, _ = read_set(
        service_set(
            'service S { rpc X(M) returns (M) { option (google.api.http) = { get: "/v1" }; } } message M {}'
        )
    )
    assert schema.services[0].methods[0].GetOptions().Extensions[annotations_pb2.http].get == "/v1"


def test_two_schemas_may_hold_different_messages_of_one_name():
    old, _ = read_set(
        descriptor_set(a='syntax = "proto3"; service S { rpc X(M) returns (M); } message M { int32 x = 1; }')
    )
    new, _ = read_set(
        descriptor_set(a='syntax = "proto3"; service S { rpc X(M) returns (M); } message M { string y = 1; }')
    )
    assert message_class(old, "M")(x=1).x == 1
    assert message_class(new, "M")(y="1").y == "1"


PROBLEMS = [
    # rule, files, services, problems
    (
        "every missing import names the file that wants it",
        [file("a.proto", "x/y.proto", "z.proto", service="S")],
        (),
        [
            'a.proto: imports "x/y.proto", which the descriptor set lacks',
            'a.proto: imports "z.proto", which the descriptor set lacks',
        ],
    ),
    (
        "no Python package is imported for an import of somebody else's",
        [file("a.proto", "antigravity.proto", "grpc_health/v1/health.proto", service="S")],
        (),
        [
            'a.proto: imports "antigravity.proto", which the descriptor set lacks',
            'a.proto: imports "grpc_health/v1/health.proto", which the descriptor set lacks',
        ],
    ),
    (
        "an unknown file of a known package",
        [file("a.proto", "google/api/nothing.proto", service="S")],
        (),
        ['a.proto: imports "google/api/nothing.proto", which the descriptor set lacks'],
    ),
    (
        "what follows from a problem is not reported again",
        [file("a.proto", "b.proto", service="S"), file("b.proto", "x.proto"), file("c.proto", "b.proto")],
        (),
        ['b.proto: imports "x.proto", which the descriptor set lacks'],
    ),
    (
        "a circle",
        [file("a.proto", "b.proto", service="S"), file("b.proto", "c.proto"), file("c.proto", "b.proto")],
        (),
        ['c.proto: imports in a circle: "b.proto" -> "c.proto" -> "b.proto"'],
    ),
    (
        "an unresolved type, beside a file that is well",
        [file("a.proto", service="S"), file("b.proto", field_type=".q.Z")],
        (),
        ["b.proto: cannot be loaded: couldn't resolve name '.q.Z'"],
    ),
    (
        "one name for two files",
        [file("a.proto", service="S"), file("a.proto", service="T")],
        (),
        ["a.proto: is given twice, with different contents"],
    ),
    ("the same file twice is once", [file("a.proto", service="S"), file("a.proto", service="S")], (), []),
    ("no service", [file("a.proto")], (), ["descriptor set: declares no service"]),
    ("nothing", [], (), ["descriptor set: declares no service"]),
    (
        "a service asked for in vain",
        [file("a.proto", service="Shop")],
        ["t.v1.Shp"],
        ['t.v1.Shp: no such service in the schema; did you mean "t.v1.Shop"?'],
    ),
]


@pytest.mark.parametrize(
    ("files", "services", "expected"), [row[1:] for row in PROBLEMS], ids=[row[0] for row in PROBLEMS]
)
def test_problems(files, services, expected):
    assert problems_of(*files, services=services) == expected


def test_what_is_no_descriptor_set_is_a_problem():
    schema, problems = read_set(b"\xff\xff")
    assert [str(problem) for problem in problems] == [
        "descriptor set: is not an encoded google.protobuf.FileDescriptorSet"
    ]
    assert schema.services == ()


def test_services_that_servers_carry_beside_their_own_are_exposed_only_by_name():
    files = [
        file("a.proto", service="S"),
        file("b.proto", package="grpc.health.v1", service="Health"),
        file("c.proto", package="google.longrunning", service="Operations"),
        file("d.proto", package="", service="Bare"),
    ]
    assert names(read_files(files)[0]) == ["Bare", "t.v1.S"]
    assert names(read_files(files, ["grpc.health.v1.Health"])[0]) == ["grpc.health.v1.Health"]


def test_comments_are_kept_by_full_name():
    comments = read_set(service_set(GREETER))[0].comments
    ours = {name: text for name, text in comments.items() if name.startswith("t.v1.")}
    assert ours == {
        "t.v1.Greeter": "Greets.",
        "t.v1.Greeter.Hello": "Says hello.\n\nTwice.",
        "t.v1.Request.name": "Whom to greet.",
        "t.v1.Request.Nested.x": "In a block.",
        "t.v1.Kind": "How warm.",
        "t.v1.Kind.COLD": "Brr.",
    }


def test_a_set_without_source_info_has_no_comments():
    files = FileDescriptorSet.FromString(descriptor_set(test=PREAMBLE + GREETER))
    for each in files.file:
        each.ClearField("source_code_info")
    assert read_files(files.file)[0].comments == {}
