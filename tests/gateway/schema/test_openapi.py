"""What the OpenAPI document says of an API."""

from __future__ import annotations

import jsonschema
import orjson
import pytest
import referencing
import referencing.jsonschema
from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.route import template as templates
from gateway.route.table import read
from gateway.schema import openapi, openapi_path
from gateway.schema.pool import read_files, read_set
from tests.protoc import message_class, service_set

PROTO = """
// Sells books.
service Shop {
  // Gets a book. It is found by its name.
  //
  // Fails if there is none.
  rpc GetBook(GetBookRequest) returns (Book) {
    option (google.api.http) = {
      get: "/v1/{name=shelves/*/books/*}"
      additional_bindings { get: "/v1/books/{id}" }
    };
  }
  rpc ListBooks(ListRequest) returns (ListResponse) {
    option (google.api.http) = { get: "/v1/{parent=shelves/*}/books" };
  }
  rpc CreateBook(CreateRequest) returns (Book) {
    option (google.api.http) = { post: "/v1/books/{id}" body: "book" };
  }
  rpc MoveBook(MoveRequest) returns (Book) {
    option (google.api.http) = { post: "/v1/books/{book}:move" body: "*" };
  }
  rpc DeleteBook(GetBookRequest) returns (google.protobuf.Empty) {
    option (google.api.http) = { delete: "/v1/books/{name}" };
    option deprecated = true;
  }
  rpc WatchBooks(ListRequest) returns (stream Book) {
    option (google.api.http) = { get: "/v1/books:watch" };
  }
  rpc Titles(ListRequest) returns (ListResponse) {
    option (google.api.http) = { get: "/v1/titles" response_body: "books" };
  }
  rpc Cover(GetBookRequest) returns (google.api.HttpBody) {
    option (google.api.http) = { get: "/v1/covers/{name=**}" };
  }
  rpc Page(GetBookRequest) returns (Book) {
    option (google.api.http) = { custom { kind: "*" path: "/v1/pages/*" }
      additional_bindings { custom { kind: "PURGE" path: "/v1/pages" } } };
  }
  rpc Everything(All) returns (All);
  rpc Upload(stream Book) returns (Book);
}

message GetBookRequest { string name = 1; int64 id = 2; }
// A page of books.
message ListRequest {
  string parent = 1;
  // How many to return.
  int32 page_size = 2 [(google.api.field_behavior) = REQUIRED];
  repeated Colour colours = 3;
  map<string, string> labels = 4;
  Filter filter = 5;
  google.protobuf.FieldMask read_mask = 6;
  string total = 7 [(google.api.field_behavior) = OUTPUT_ONLY];
}
message Filter { google.protobuf.Timestamp since = 1; Filter and = 2; bool old = 3 [deprecated = true]; }
message ListResponse { repeated Book books = 1; }
message CreateRequest { string id = 1; Book book = 2; bool validate_only = 3; }
message MoveRequest { string book = 1; string shelf = 2 [(google.api.field_behavior) = REQUIRED]; }

// A book. Made of paper.
message Book {
  string name = 1 [(google.api.field_behavior) = OUTPUT_ONLY];
  // In cents.
  int64 price = 2;
  Colour colour = 3;
  oneof cover { string soft = 4; string hard = 5; }
  optional string note = 6;
  Book sequel = 7;
  string pin = 8 [(google.api.field_behavior) = INPUT_ONLY];
}
// What it looks like.
enum Colour {
  COLOUR_UNSPECIFIED = 0;
  // Like blood.
  RED = 1;
}

message All {
  int32 i32 = 1; uint32 u32 = 2; int64 i64 = 3; fixed64 f64 = 4; bool flag = 5; float ratio = 6; double precise = 7;
  string text = 8; bytes data = 9; Colour colour = 10; repeated int64 list = 11; map<int32, Book> books = 12;
  map<bool, bytes> flags = 13; map<string, google.protobuf.Duration> waits = 14;
  google.protobuf.Timestamp at = 15; google.protobuf.Duration wait = 16; google.protobuf.FieldMask mask = 17;
  google.protobuf.Struct struct = 18; google.protobuf.Value value = 19; google.protobuf.ListValue values = 20;
  google.protobuf.Any any = 21; google.protobuf.Empty empty = 22; google.protobuf.Int64Value w_i64 = 23;
  google.protobuf.BoolValue w_bool = 24; google.protobuf.NullValue null = 25;
  oneof choice { string left = 26; int32 right = 27; }
  oneof other { string up = 28; string down = 29; }
  google.protobuf.BytesValue w_bytes = 30;
}
"""

SET = service_set(PROTO)


def document_of(data, **options):
    schema, problems = read_set(data)
    table, more = read(schema.services)
    assert (problems, more) == ((), ())
    return openapi.render(schema, table, **{"title": "Shop", "version": "1.2.3"} | options)


DOCUMENT = document_of(SET)
PATHS = DOCUMENT["paths"]
SCHEMAS = DOCUMENT["components"]["schemas"]


def parameters(path, method):
    return {parameter["name"]: parameter for parameter in PATHS[path][method].get("parameters", [])}


def body(path, method):
    return PATHS[path][method]["requestBody"]["content"]["application/json"]["schema"]


def answer(path, method):
    return PATHS[path][method]["responses"]["200"]["content"]


def test_the_document_is_valid_openapi():
    OpenAPIV31SpecValidator(DOCUMENT).validate()
    OpenAPIV31SpecValidator(document_of(service_set("service S {}"))).validate()


def test_the_document_is_a_function_of_the_schema():
    assert openapi.encode(document_of(SET)) == openapi.encode(DOCUMENT)


def test_the_order_of_files_decides_nothing():
    schema, _ = read_files(reversed(FileDescriptorSet.FromString(SET).file))
    again = openapi.render(schema, read(schema.services)[0], title="Shop", version="1.2.3")
    assert openapi.encode(again) == openapi.encode(DOCUMENT)


def test_the_document_says_what_it_is_given():
    document = document_of(SET, description="Books.", servers=["https://a.test/x"])
    assert document["info"] == {"title": "Shop", "version": "1.2.3", "description": "Books."}
    assert document["servers"] == [{"url": "https://a.test/x"}]
    assert DOCUMENT["servers"] == [{"url": "/"}]


def test_every_binding_is_an_operation():
    found = {(method, path) for path, item in PATHS.items() for method in item}
    assert found == {
        ("get", "/v1/shelves/{shelvesId}/books/{booksId}"),
        ("get", "/v1/books/{id}"),
        ("get", "/v1/shelves/{shelvesId}/books"),
        ("post", "/v1/books/{id}"),
        ("post", "/v1/books/{book}:move"),
        ("delete", "/v1/books/{id}"),
        ("get", "/v1/books:watch"),
        ("get", "/v1/titles"),
        ("get", "/v1/covers/{name}"),
        ("get", "/v1/pages/{pagesId}"),
        ("post", "/t.v1.Shop/Everything"),
    }


def test_operations_have_unique_ids_and_the_tag_of_their_service():
    operations = [operation for item in PATHS.values() for operation in item.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    assert {"Shop_GetBook", "Shop_GetBook_2", "Shop_Everything"} <= set(ids)
    assert all(operation["tags"] == ["Shop"] for operation in operations)
    assert DOCUMENT["tags"] == [{"name": "Shop", "description": "Sells books."}]


def test_services_of_one_name_are_told_apart_by_their_packages():
    both = FileDescriptorSet()
    for package in ("a.v1", "b.v1"):
        file = both.file.add(name=f"{package}.proto", package=package, syntax="proto3")
        file.message_type.add(name="M")
        method = f".{package}.M"
        file.service.add(name="S").method.add(name="X", input_type=method, output_type=method)
    document = document_of(both.SerializeToString())
    OpenAPIV31SpecValidator(document).validate()
    assert [tag["name"] for tag in document["tags"]] == ["a.v1.S", "b.v1.S"]


def test_a_chain_of_messages_may_be_longer_than_the_stack():
    chain = FileDescriptorSet()
    file = chain.file.add(name="chain.proto", package="c", syntax="proto3")
    for index in range(1500):
        message = file.message_type.add(name=f"M{index}")
        message.field.add(name="next", number=1, type=11, label=1, type_name=f".c.M{(index + 1) % 1500}")
    file.service.add(name="S").method.add(name="X", input_type=".c.M0", output_type=".c.M0")
    assert len(document_of(chain.SerializeToString())["components"]["schemas"]) == 1501


def test_comments_are_descriptions():
    operation = PATHS["/v1/shelves/{shelvesId}/books/{booksId}"]["get"]
    assert operation["summary"] == "Gets a book."
    assert operation["description"] == "Gets a book. It is found by its name.\n\nFails if there is none."
    assert operation["responses"]["200"]["description"] == "A book."
    assert SCHEMAS["t.v1.Book"]["description"].startswith("A book. Made of paper.")
    assert SCHEMAS["t.v1.Book"]["properties"]["price"]["description"] == "In cents."
    assert SCHEMAS["t.v1.Colour"]["description"] == "What it looks like.\n\n- `RED`: Like blood."
    assert parameters("/v1/titles", "get")["pageSize"]["description"] == "How many to return."


def test_what_is_deprecated_says_so():
    assert PATHS["/v1/books/{id}"]["delete"]["deprecated"] is True
    assert parameters("/v1/titles", "get")["filter.old"]["deprecated"] is True
    assert SCHEMAS["t.v1.Book"].get("deprecated") is None


def test_a_variable_of_several_segments_is_a_parameter_per_wildcard():
    found = parameters("/v1/shelves/{shelvesId}/books/{booksId}", "get")
    assert found["shelvesId"] == {
        "name": "shelvesId",
        "in": "path",
        "required": True,
        "description": "Part of `name`, which is `shelves/*/books/*`.",
        "schema": {"type": "string"},
    }
    assert list(found) == ["shelvesId", "booksId", "id"]
    assert parameters("/v1/covers/{name}", "get")["name"]["description"].endswith(
        "may hold several segments."
    )


def test_a_typed_variable_keeps_its_type():
    assert parameters("/v1/books/{id}", "get")["id"]["schema"] == {"type": "string", "format": "int64"}


def test_identical_paths_share_the_names_of_their_parameters():
    # DELETE declares {name} and GET {id}: OpenAPI forbids two spellings of one path.
    first, second = PATHS["/v1/books/{id}"]["delete"]["parameters"]
    assert (first["name"], first["in"], first["description"]) == ("id", "path", "The field `name`.")
    assert (second["name"], second["in"]) == ("id", "query")


def test_fields_not_in_path_or_body_are_query_parameters():
    assert set(parameters("/v1/titles", "get")) == {
        "parent",
        "pageSize",
        "colours",
        "labels",
        "filter.since",
        "filter.old",
        "readMask",
    }
    assert list(parameters("/v1/books/{id}", "post")) == ["id", "validateOnly"]
    assert list(parameters("/v1/books/{book}:move", "post")) == ["book"]


def test_the_forms_of_query_parameters():
    found = parameters("/v1/titles", "get")
    assert found["pageSize"]["required"] is True
    assert "required" not in found["parent"]
    assert found["colours"]["schema"] == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/t.v1.Colour"},
    }
    assert found["labels"] | {"schema": None} == {
        "name": "labels",
        "in": "query",
        "style": "deepObject",
        "explode": True,
        "schema": None,
    }
    assert found["filter.since"]["schema"] == {"type": "string", "format": "date-time"}


def test_the_body_is_the_field_or_what_the_path_leaves():
    assert body("/v1/books/{id}", "post") == {"$ref": "#/components/schemas/t.v1.Book"}
    assert body("/v1/books/{book}:move", "post") == {
        "type": "object",
        "properties": {"shelf": {"type": "string"}},
        "required": ["shelf"],
    }
    assert body("/t.v1.Shop/Everything", "post") == {"$ref": "#/components/schemas/t.v1.All"}


def test_answers():
    assert answer("/v1/books/{id}", "get") == {
        "application/json": {"schema": {"$ref": "#/components/schemas/t.v1.Book"}}
    }
    assert answer("/v1/books/{id}", "delete") == {"application/json": {"schema": {"type": "object"}}}
    assert answer("/v1/titles", "get")["application/json"]["schema"]["type"] == "array"
    assert list(answer("/v1/covers/{name}", "get")) == ["*/*"]
    line = answer("/v1/books:watch", "get")["application/x-ndjson"]["schema"]
    assert line["properties"] == {
        "result": {"$ref": "#/components/schemas/t.v1.Book"},
        "error": {"$ref": "#/components/schemas/google.rpc.Status"},
    }


def test_every_operation_may_answer_with_a_status():
    for item in PATHS.values():
        for operation in item.values():
            error = operation["responses"]["default"]["content"]["application/json"]["schema"]
            assert error == {"$ref": "#/components/schemas/google.rpc.Status"}
    assert set(SCHEMAS["google.rpc.Status"]["properties"]) == {"code", "message", "details"}


def test_field_behaviour():
    properties = SCHEMAS["t.v1.Book"]["properties"]
    assert (properties["name"]["readOnly"], properties["pin"]["writeOnly"]) == (True, True)


def check(name, value):
    """Validate a value against a component, references and all."""
    resource = referencing.Resource.from_contents(DOCUMENT, referencing.jsonschema.DRAFT202012)
    registry = referencing.Registry().with_resource("urn:document", resource)
    schema = {"$ref": f"urn:document#/components/schemas/{name}"}
    jsonschema.Draft202012Validator(schema, registry=registry).validate(value)


FULL = {
    "i32": -1, "u32": 1, "i64": "-5", "f64": "5", "flag": True, "ratio": 0.5, "precise": 1e300, "text": "x",
    "data": "YQ==", "colour": "RED", "list": ["1"], "books": {"-1": {"name": "x", "sequel": {"hard": "y"}}},
    "flags": {"true": "YQ=="}, "waits": {"x": "1.5s"}, "at": "2026-01-01T00:00:00Z", "wait": "1s", "mask": "aB,c",
    "struct": {"a": [1]}, "value": None, "values": [1, "x"],
    "any": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}, "empty": {}, "wI64": "5",
    "wBool": False, "null": None, "left": "x", "down": "y", "wBytes": "YQ==",
}  # fmt: skip


def test_protojson_of_every_kind_of_field_fits_its_schema():
    schema, _ = read_set(SET)
    message = message_class(schema, "t.v1.All")()
    json_format.ParseDict(FULL, message)
    check("t.v1.All", orjson.loads(json_format.MessageToJson(message)))
    check(
        "t.v1.All",
        orjson.loads(json_format.MessageToJson(message, always_print_fields_with_no_presence=True)),
    )
    check("t.v1.All", {})


@pytest.mark.parametrize(
    "value",
    [
        {"i32": "x"},
        {"i64": 5},
        {"u32": -1},
        {"colour": "GREEN"},
        {"list": "1"},
        {"books": {"x": {}}},
        {"flags": {"x": ""}},
        {"left": "x", "right": 1},
        {"books": {"1": {"soft": "x", "hard": "y"}}},
    ],
)
def test_what_is_not_protojson_does_not_fit(value):
    with pytest.raises(jsonschema.ValidationError):
        check("t.v1.All", value)


SPELLED = [
    # rule, template, path
    ("the root", "/", "/"),
    ("literals", "/v1/x", "/v1/x"),
    ("a variable by its JSON name", "/v1/{book_id}", "/v1/{bookId}"),
    ("a nested variable", "/v1/{sub_inner.book_id}", "/v1/{subInner.bookId}"),
    ("several segments", "/v1/{name=a/*/b/*}", "/v1/a/{aId}/b/{bId}"),
    ("the rest", "/v1/{name=a/**}", "/v1/a/{name}"),
    ("the same literal twice", "/{name=a/*/a/*}", "/a/{aId}/a/{aId_2}"),
    ("a wildcard that follows no literal of its variable", "/v1/{name=*/b/*}", "/v1/{name}/b/{bId}"),
    ("two wildcards in a row", "/v1/{name=a/*/*}", "/v1/a/{aId}/{name}"),
    ("wildcards that bind nothing", "/v1/*/x/**", "/v1/{v1Id}/x/{path}"),
    ("a wildcard at the start", "/*/*", "/{path}/{path_2}"),
    ("a verb", "/v1/{name}:cancel", "/v1/{name}:cancel"),
    ("a literal that must be encoded", "/v1/a%20b%7B/{name=a b/*}", "/v1/a%20b%7B/a%20b/{a_bId}"),
    ("a variable of literals", "/v1/{name=users/me}", "/v1/users/me"),
]


@pytest.mark.parametrize(
    ("source", "expected"), [row[1:] for row in SPELLED], ids=[row[0] for row in SPELLED]
)
def test_paths_are_spelled_for_openapi(source, expected):
    assert str(openapi_path.read(templates.read(source))) == expected
