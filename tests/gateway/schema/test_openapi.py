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
from gateway.schema.rest import read_rests
from mesh.config.edge import Cache, Json, Rest
from mesh.config.spec import Gateway as Settings
from tests.protoc import ROOT, compile_protos, descriptor_set, message_class, service_set

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
  rpc UpdateBook(UpdateRequest) returns (Book) {
    option (google.api.http) = { patch: "/v1/books/{book.name}" body: "book" };
  }
  rpc Chat(stream Book) returns (stream Book) {
    option (google.api.http) = { post: "/v1/chats" body: "*" };
  }
  rpc AddFile(File) returns (File) {
    option (google.api.http) = { post: "/v1/files" body: "*" };
  }
  rpc SetCover(SetCoverRequest) returns (google.protobuf.Empty) {
    option (google.api.http) = { put: "/v1/covers/{name}" body: "cover" };
  }
}

message UpdateRequest { Book book = 1; google.protobuf.FieldMask update_mask = 2; }
message SetCoverRequest { string name = 1; google.api.HttpBody cover = 2; }
message File {
  string title = 1 [(google.api.field_behavior) = REQUIRED];
  bytes content = 2;
  int32 number = 3 [(google.api.field_behavior) = REQUIRED];
  Filter filter = 4;
  map<int32, string> notes = 5;
  string key = 6 [(google.api.field_behavior) = IMMUTABLE];
  oneof place { string shelf = 7; string box = 8; }
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


def document_of(data, *, rests=None, **settings):
    schema, problems = read_set(data)
    table, more = read(schema.services)
    assert (problems, more) == ((), ())
    found, wrong = read_rests(schema.services, Settings())
    assert not wrong
    return openapi.render(
        schema, table, title="Shop", version="1.2.3", settings=Settings(**settings), rests=rests or found
    )


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
    schema, _ = read_set(SET)
    table, _ = read(schema.services)
    servers = ["https://a.test/x"]
    document = openapi.render(
        schema, table, title="Shop", version="1.2.3", description="Books.", servers=servers
    )
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
        ("post", "/t.v1.Shop/Upload"),
        ("patch", "/v1/books/{id}"),
        ("post", "/v1/chats"),
        ("post", "/v1/files"),
        ("put", "/v1/covers/{name}"),
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
    # And the status and the problem that errors are.
    assert len(document_of(chain.SerializeToString())["components"]["schemas"]) == 1502


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
        "schema": {"type": "string", "minLength": 1},
    }
    assert list(found) == ["shelvesId", "booksId", "id"]
    assert parameters("/v1/covers/{name}", "get")["name"]["description"].endswith(
        "may hold several segments."
    )


def test_a_typed_variable_keeps_its_type():
    assert parameters("/v1/books/{id}", "get")["id"]["schema"] == {
        "type": "string",
        "format": "int64",
        "pattern": "^-?[0-9]{1,19}$",
    }


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


def test_a_choice_among_query_parameters_is_said_in_words():
    document = document_of(
        service_set("""
        service S { rpc Get(M) returns (M) { option (google.api.http) = { get: "/m" }; } }
        message M { Inner inner = 1; google.protobuf.Value value = 2; }
        message Inner { oneof one { string a = 1; google.protobuf.StringValue b = 2; } }
        """)
    )
    found = document["paths"]["/m"]["get"]["parameters"]
    # The parts of a Value are not for people to name.
    assert [parameter["name"] for parameter in found] == ["inner.a", "inner.b"]
    assert found[0]["description"] == "At most one of `inner.a`, `inner.b` is given."
    # There is no null in a query.
    assert found[1]["schema"] == {"type": "string"}


def test_the_body_is_the_field_or_what_the_path_leaves():
    assert body("/v1/books/{id}", "post") == {"$ref": "#/components/schemas/t.v1.Book"}
    assert body("/v1/books/{book}:move", "post") == {
        "type": "object",
        "properties": {"shelf": {"type": "string", "minLength": 1}},
        "required": ["shelf"],
        "additionalProperties": False,
    }
    assert body("/t.v1.Shop/Everything", "post") == {"$ref": "#/components/schemas/t.v1.All"}


def test_answers():
    assert answer("/v1/books/{id}", "get")["application/json"]["schema"] == {
        "$ref": "#/components/schemas/t.v1.Book"
    }
    assert answer("/v1/books/{id}", "delete")["application/json"]["schema"]["type"] == "object"
    assert answer("/v1/titles", "get")["application/json"]["schema"]["type"] == "array"
    assert list(answer("/v1/covers/{name}", "get")) == ["application/octet-stream", "*/*"]


def test_a_stream_is_lines_events_or_an_array():
    found = answer("/v1/books:watch", "get")
    assert list(found) == ["application/x-ndjson", "text/event-stream", "application/json"]
    assert found["application/x-ndjson"]["schema"]["properties"] == {
        "result": {"$ref": "#/components/schemas/t.v1.Book"},
        "error": {"$ref": "#/components/schemas/google.rpc.Status"},
    }
    assert found["application/json"]["schema"] == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/t.v1.Book"},
    }
    assert found["text/event-stream"]["example"].endswith("\n\nevent: end\ndata: {}\n\n")


@pytest.mark.parametrize(
    ("path", "streams"),
    [
        ("/v1/books:watch", "server"),
        ("/t.v1.Shop/Upload", "client"),
        ("/v1/chats", "both"),
        ("/v1/files", None),
    ],
)
def test_who_streams_is_said(path, streams):
    (operation,) = PATHS[path].values()
    assert operation.get("x-grpc-streaming") == streams
    assert ("WebSocket" in operation.get("description", "")) == bool(streams)


def test_a_client_streams_lines_or_an_array():
    found = PATHS["/v1/chats"]["post"]["requestBody"]["content"]
    assert list(found) == ["application/x-ndjson", "application/json"]
    assert found["application/x-ndjson"]["schema"]["$ref"] == "#/components/schemas/t.v1.Book"
    assert found["application/json"]["schema"]["type"] == "array"


def test_a_patch_may_be_a_merge_patch():
    request = PATHS["/v1/books/{id}"]["patch"]["requestBody"]
    assert list(request["content"]) == ["application/json", "application/merge-patch+json"]
    assert request["description"] == (
        "What the path says need not be in the body; if it is, it must be the same."
    )
    assert parameters("/v1/books/{id}", "patch")["updateMask"]["schema"]["format"] == "google-fieldmask"
    assert parameters("/v1/books/{id}", "patch")["id"]["description"] == "The field `book.name`."


def test_forms():
    found = PATHS["/v1/files"]["post"]["requestBody"]
    assert found["required"] is True
    form = found["content"]["application/x-www-form-urlencoded"]["schema"]
    assert {"title", "content", "number", "filter.since", "filter.old", "shelf"} <= set(form["properties"])
    assert list(form["patternProperties"]) == ["^notes\\[(0|-?[1-9][0-9]{0,8})\\]$"]
    assert form["required"] == ["title", "number"]
    assert form["allOf"] == [{"not": {"required": ["shelf", "box"]}}]
    assert form["additionalProperties"] is False
    parts = found["content"]["multipart/form-data"]
    assert parts["schema"]["properties"]["content"]["format"] == "binary"
    assert parts["encoding"] == {
        "filter": {"contentType": "application/json"},
        "notes": {"contentType": "application/json"},
    }
    # Without a place for a file, parts say no more than a form.
    content = PATHS["/v1/books/{id}"]["post"]["requestBody"]["content"]
    assert list(content) == ["application/json", "application/x-www-form-urlencoded"]


def test_bytes_as_they_are():
    content = PATHS["/v1/covers/{name}"]["put"]["requestBody"]["content"]
    assert list(content) == ["application/octet-stream", "*/*"]


def test_every_operation_may_end_in_errors():
    for item in PATHS.values():
        for operation in item.values():
            answers = operation["responses"]
            wanted = {"200", "400", "401", "403", "404", "409", "429", "499", "500", "501", "503", "504"}
            assert wanted <= set(answers)
            assert ("413" in answers) == ("requestBody" in operation)
            assert answers["404"] == {"$ref": "#/components/responses/NotFound"}
    responses = DOCUMENT["components"]["responses"]
    assert set(responses["NotFound"]["content"]) == {"application/json", "application/problem+json"}
    assert "Retry-After" in responses["TooManyRequests"]["headers"]
    assert "WWW-Authenticate" in responses["Unauthorized"]["headers"]
    assert "`FAILED_PRECONDITION`" in responses["BadRequest"]["description"]
    assert set(SCHEMAS["google.rpc.Status"]["properties"]) == {"code", "message", "details"}


def test_errors_may_be_problems_for_everybody():
    responses = document_of(SET, problem_details=True)["components"]["responses"]
    assert {tuple(response["content"]) for response in responses.values()} == {("application/problem+json",)}


def test_what_openapi_has_no_words_for_is_listed():
    assert DOCUMENT["x-other-bindings"] == [
        {
            "httpMethod": "PURGE",
            "path": "/v1/pages",
            "grpcMethod": "/t.v1.Shop/Page",
            "reason": "OpenAPI has no such HTTP method",
        }
    ]


def test_credentials_are_for_those_who_forward_them():
    assert DOCUMENT["security"] == [{}, {"bearer": []}]
    assert DOCUMENT["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    deaf = document_of(SET, forward_headers=())
    assert "security" not in deaf
    assert "securitySchemes" not in deaf["components"]


def test_what_may_be_cached_and_resumed():
    document = document_of(
        SET,
        rests={
            "/t.v1.Shop/GetBook": Rest(cache=Cache(max_age=1.0)),
            "/t.v1.Shop/WatchBooks": Rest(event_id="price", last_event_id="page_size"),
        },
    )
    OpenAPIV31SpecValidator(document).validate()
    book = document["paths"]["/v1/books/{id}"]["get"]
    assert "If-None-Match" in {parameter["name"] for parameter in book["parameters"]}
    assert {"ETag", "Cache-Control"} <= set(book["responses"]["200"]["headers"])
    assert "304" in book["responses"]
    watch = document["paths"]["/v1/books:watch"]["get"]["parameters"][-1]
    assert (watch["name"], watch["in"], watch["schema"]["format"]) == ("Last-Event-ID", "header", "int32")


def test_names_numbers_and_defaults_are_as_the_settings_have_them():
    document = document_of(SET, json=Json(proto_names=True, enum_numbers=True, emit_defaults=True))
    OpenAPIV31SpecValidator(document).validate()
    schemas = document["components"]["schemas"]
    colour = schemas["t.v1.Colour"]
    assert (colour["type"], colour["enum"]) == ("integer", [0, 1])
    assert colour["x-enum-varnames"] == ["COLOUR_UNSPECIFIED", "RED"]
    names = {parameter["name"] for parameter in document["paths"]["/v1/titles"]["get"]["parameters"]}
    assert {"page_size", "read_mask"} <= names
    # What only services send has all that it can have; what clients send may lack it.
    assert schemas["google.rpc.Status"]["required"] == ["code", "message", "details"]
    assert "required" not in schemas["t.v1.Book"]


def test_what_clients_send_is_closed():
    assert SCHEMAS["t.v1.Book"]["additionalProperties"] is False
    assert "additionalProperties" not in SCHEMAS["google.rpc.Status"]
    lenient = document_of(SET, json=Json(ignore_unknown=True))["components"]["schemas"]
    assert "additionalProperties" not in lenient["t.v1.Book"]


def test_field_behaviour():
    properties = SCHEMAS["t.v1.Book"]["properties"]
    assert (properties["name"]["readOnly"], properties["pin"]["writeOnly"]) == (True, True)
    file = SCHEMAS["t.v1.File"]
    assert file["properties"]["key"]["description"] == "It is given at creation and does not change."
    # A number that is given as zero is not there in an answer.
    assert file["required"] == ["title"]
    assert file["properties"]["title"]["minLength"] == 1


def test_defaults_of_proto2():
    proto = """
    syntax = "proto2";
    package d;
    service S { rpc Get(M) returns (M); }
    enum E { A = 1; B = 2; }
    message M {
      optional int64 big = 1 [default = 5]; optional E e = 2 [default = B]; optional double d = 3 [default = nan];
      optional bytes b = 4 [default = "x"]; required string s = 5; extensions 100 to max;
    }
    """
    document = document_of(descriptor_set(d=proto))
    OpenAPIV31SpecValidator(document).validate()
    schema = document["components"]["schemas"]["d.M"]
    defaults = {name: field.get("default") for name, field in schema["properties"].items()}
    assert defaults == {"big": "5", "e": "B", "d": "NaN", "b": "eA==", "s": None}
    assert schema["required"] == ["s"]
    assert list(schema["patternProperties"]) == ["^\\[.+\\]$"]


def examples_of(node):
    """Yield every example with its schema, of media types in JSON."""
    if isinstance(node, dict):
        for name, inner in node.items():
            if isinstance(inner, dict) and "example" in inner and "schema" in inner:
                yield inner["schema"], inner["example"]
            if name != "example":
                yield from examples_of(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from examples_of(inner)


@pytest.mark.parametrize(
    "json_settings", [Json(), Json(proto_names=True, enum_numbers=True, emit_defaults=True)], ids=["", "all"]
)
def test_examples_fit_their_schemas(json_settings):
    document = document_of(SET, json=json_settings)
    found = list(examples_of(document))
    assert len(found) > 30
    for schema, example in found:
        resource = referencing.Resource.from_contents(document, referencing.jsonschema.DRAFT202012)
        registry = referencing.Registry().with_resource("urn:document", resource)
        text = orjson.dumps(schema).decode().replace('"#/', '"urn:document#/')
        jsonschema.Draft202012Validator(orjson.loads(text), registry=registry).validate(example)


def test_a_message_that_requires_itself_has_no_example():
    proto = """
    syntax = "proto2";
    package d;
    service S { rpc Get(M) returns (M); }
    message M { required M again = 1; }
    """
    document = document_of(descriptor_set(d=proto))
    OpenAPIV31SpecValidator(document).validate()
    assert list(document["paths"]["/d.S/Get"]["post"]["requestBody"]["content"]["application/json"]) == [
        "schema"
    ]


def with_services(data):
    """Return a set in which every message is the request and the response of a method."""
    found = FileDescriptorSet.FromString(data)
    for file in found.file:
        if file.name in {"edition.proto", "three.proto", "two.proto"}:
            service = file.service.add(name="All")
            for message in file.message_type:
                name = f".{file.package}.{message.name}"
                service.method.add(name=message.name, input_type=name, output_type=name)
    return found.SerializeToString()


GATEWAY = ROOT / "tests/gateway"
EVERY_SCHEMA = [
    *(
        pytest.param(lambda at=GATEWAY / folder: compile_protos(at), id=folder)
        for folder in ("asgi", "compose/protos", "fuzz", "protocol")
    ),
    pytest.param(lambda: with_services(compile_protos(GATEWAY / "codec/proto")), id="codec"),
    pytest.param(lambda: compile_protos(ROOT / "examples/boutique/protos"), id="boutique"),
]


@pytest.mark.parametrize("read_data", EVERY_SCHEMA)
def test_documents_of_every_schema_are_valid(read_data):
    document = document_of(read_data())
    # OpenAPI's own dialect: Swagger UI warns of every other.
    assert "jsonSchemaDialect" not in document
    OpenAPIV31SpecValidator(document).validate()
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


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
    ("a nested variable", "/v1/{sub_inner.book_id}", "/v1/{subInner_bookId}"),
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
