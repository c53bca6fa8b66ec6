"""How captures, query and body become a request message: google/api/http.proto, and what is decided beyond it."""

from __future__ import annotations

import pytest
from google.protobuf import json_format

from gateway.bind.request import QueryOptions, compile_request
from gateway.codec.json import Codec
from gateway.problem import RequestProblem
from gateway.route.table import read
from gateway.schema.pool import read_set
from mesh.call import Code
from tests.gateway.schema.protoc import service_set


class Api:
    """An API compiled from proto text: `call` answers with the request message the backend would get."""

    def __init__(self, proto, **options):
        schema, problems = read_set(service_set(proto))
        table, more = read(schema.services)
        assert (problems, more) == ((), ())
        self.trie = table.trie()
        self.binds = {
            binding: compile_request(binding, Codec(binding.method.input_type), QueryOptions(**options))
            for binding in table.bindings
        }

    def call(self, line, body=b"", content_type="application/json"):
        method, target = line.split(" ", 1)
        path, _, query = target.partition("?")
        match = self.trie.find(method, path)
        assert match.route is not None, f"no route for {line}"
        return self.binds[match.route](match.captures, query.encode(), body, content_type)

    def refused(self, line, body=b"", content_type="application/json"):
        with pytest.raises(RequestProblem) as caught:
            self.call(line, body, content_type)
        return caught.value


def shown(message):
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


# The examples in the comments of google/api/http.proto, in their order.
COMMENTS = [
    (
        "a variable of several segments",
        """
        service Messaging { rpc GetMessage(GetMessageRequest) returns (Message) {
          option (google.api.http) = { get: "/v1/{name=messages/*}" }; } }
        message GetMessageRequest { string name = 1; }
        message Message { string text = 1; }
        """,
        [("GET /v1/messages/123456", b"", {"name": "messages/123456"})],
    ),
    (
        "fields not bound by the path become query parameters",
        """
        service Messaging { rpc GetMessage(GetMessageRequest) returns (Message) {
          option (google.api.http) = { get:"/v1/messages/{message_id}" }; } }
        message GetMessageRequest {
          message SubMessage { string subfield = 1; }
          string message_id = 1; int64 revision = 2; SubMessage sub = 3; }
        message Message { string text = 1; }
        """,
        [
            (
                "GET /v1/messages/123456?revision=2&sub.subfield=foo",
                b"",
                {"message_id": "123456", "revision": "2", "sub": {"subfield": "foo"}},
            )
        ],
    ),
    (
        "a field as the body",
        """
        service Messaging { rpc UpdateMessage(UpdateMessageRequest) returns (Message) {
          option (google.api.http) = { patch: "/v1/messages/{message_id}" body: "message" }; } }
        message UpdateMessageRequest { string message_id = 1; Message message = 2; }
        message Message { string text = 1; }
        """,
        [
            (
                "PATCH /v1/messages/123456",
                b'{ "text": "Hi!" }',
                {"message_id": "123456", "message": {"text": "Hi!"}},
            )
        ],
    ),
    (
        "every field not bound by the path as the body",
        """
        service Messaging { rpc UpdateMessage(Message) returns (Message) {
          option (google.api.http) = { patch: "/v1/messages/{message_id}" body: "*" }; } }
        message Message { string message_id = 1; string text = 2; }
        """,
        [("PATCH /v1/messages/123456", b'{ "text": "Hi!" }', {"message_id": "123456", "text": "Hi!"})],
    ),
    (
        "additional bindings",
        """
        service Messaging { rpc GetMessage(GetMessageRequest) returns (Message) {
          option (google.api.http) = { get: "/v1/messages/{message_id}"
            additional_bindings { get: "/v1/users/{user_id}/messages/{message_id}" } }; } }
        message GetMessageRequest { string message_id = 1; string user_id = 2; }
        message Message { string text = 1; }
        """,
        [
            ("GET /v1/messages/123456", b"", {"message_id": "123456"}),
            ("GET /v1/users/me/messages/123456", b"", {"user_id": "me", "message_id": "123456"}),
        ],
    ),
]


@pytest.mark.parametrize(("proto", "calls"), [row[1:] for row in COMMENTS], ids=[row[0] for row in COMMENTS])
def test_the_examples_of_http_proto(proto, calls):
    api = Api(proto)
    for line, body, expected in calls:
        assert shown(api.call(line, body)) == expected


PROTO = """
enum Colour { COLOUR_UNSPECIFIED = 0; RED = 1; BLUE = 2; }
message Inner { string id = 1; int32 page_count = 2; Inner inner = 3; repeated int32 numbers = 4; }
message All {
  string name = 1;
  int32 i32 = 2; int64 i64 = 3; uint32 u32 = 4; uint64 u64 = 5; sint32 s32 = 6; fixed64 f64 = 7;
  bool flag = 8; float ratio = 9; double precise = 10; bytes data = 11; Colour colour = 12;
  optional string maybe = 13;
  oneof choice { string left = 14; int32 right = 15; Inner middle = 16; }
  repeated string tags = 17; repeated int32 numbers = 18; repeated Colour colours = 19;
  repeated google.protobuf.Timestamp times = 20; repeated google.protobuf.Int64Value counts = 21;
  map<string, string> labels = 22; map<int32, bool> flags = 23; map<bool, int64> sides = 24;
  map<string, google.protobuf.Duration> waits = 25; map<string, Inner> inners = 26;
  google.protobuf.Timestamp at = 27; google.protobuf.Duration wait = 28; google.protobuf.FieldMask mask = 29;
  google.protobuf.StringValue w_string = 30; google.protobuf.BoolValue w_bool = 31;
  google.protobuf.Int64Value w_i64 = 32; google.protobuf.BytesValue w_bytes = 33;
  Inner sub_inner = 34; repeated Inner list = 35; google.protobuf.Struct struct = 36;
  google.protobuf.Any any = 37; google.protobuf.Empty empty = 38; google.protobuf.Value value = 39;
  string odd = 40 [json_name = "@odd"];
}
service S {
  rpc Query(All) returns (All) { option (google.api.http) = { get: "/q" additional_bindings { get: "/q/{name}" }
    additional_bindings { get: "/i/{i32}/{flag}/{colour}/{at}" } additional_bindings { get: "/m/{name=a/**}" }
    additional_bindings { get: "/n/{sub_inner.id}" } additional_bindings { get: "/l/{left}" } }; }
  rpc Whole(All) returns (All) { option (google.api.http) = { post: "/w" body: "*"
    additional_bindings { post: "/w/{name}" body: "*" } additional_bindings { post: "/w/n/{sub_inner.id}" body: "*" }
    additional_bindings { post: "/w/l/{left}" body: "*" } additional_bindings { post: "/w/o/{maybe}" body: "*" } }; }
  rpc Part(All) returns (All) { option (google.api.http) = { post: "/p" body: "sub_inner"
    additional_bindings { post: "/p/{sub_inner.id}" body: "sub_inner" }
    additional_bindings { post: "/p/list" body: "list" } additional_bindings { post: "/p/tags" body: "tags" }
    additional_bindings { post: "/p/labels" body: "labels" } additional_bindings { post: "/p/i32" body: "i32" }
    additional_bindings { post: "/p/struct" body: "struct" } }; }
  rpc Raw(google.api.HttpBody) returns (All) { option (google.api.http) = { post: "/raw" body: "*" }; }
  rpc RawPart(Upload) returns (All) { option (google.api.http) = { post: "/raw/{name}" body: "file" }; }
}
message Upload { string name = 1; google.api.HttpBody file = 2; string kind = 3; }
"""

API = Api(PROTO)

QUERIES = [
    # rule, query, message
    ("nothing", "", {}),
    ("a string", "name=x", {"name": "x"}),
    ("an empty string", "name=", {}),
    ("no equals sign", "name", {}),
    ("an equals sign in the value", "name=a=b", {"name": "a=b"}),
    ("empty pieces are skipped", "&name=x&&", {"name": "x"}),
    ("JSON names", "subInner.pageCount=3", {"sub_inner": {"page_count": 3}}),
    ("proto names", "sub_inner.page_count=3", {"sub_inner": {"page_count": 3}}),
    ("a mixture of names", "sub_inner.pageCount=3", {"sub_inner": {"page_count": 3}}),
    ("a json_name of its own", "%40odd=x", {"odd": "x"}),
    (
        "a message inside itself",
        "sub_inner.inner.inner.inner.id=x",
        {"sub_inner": {"inner": {"inner": {"inner": {"id": "x"}}}}},
    ),
    ("integers", "i32=-1&u32=2&s32=-3", {"i32": -1, "u32": 2, "s32": -3}),
    (
        "64-bit integers",
        "i64=-9223372036854775808&u64=18446744073709551615",
        {"i64": "-9223372036854775808", "u64": "18446744073709551615"},
    ),
    ("true", "flag=true", {"flag": True}),
    ("false with presence", "wBool=false", {"w_bool": False}),
    ("floats", "ratio=0.5&precise=-1e300", {"ratio": 0.5, "precise": -1e300}),
    ("not a number", "precise=NaN&ratio=-Infinity", {"precise": "NaN", "ratio": "-Infinity"}),
    ("bytes, standard alphabet", "data=%2B%2F%2B%2F", {"data": "+/+/"}),
    ("bytes, URL alphabet", "data=-_-_", {"data": "+/+/"}),
    ("bytes without padding", "data=YQ", {"data": "YQ=="}),
    ("an enum by name", "colour=BLUE", {"colour": "BLUE"}),
    ("an enum by number", "colour=2", {"colour": "BLUE"}),
    ("an enum by a number nobody declared", "colour=77", {"colour": 77}),
    ("an optional field set to its default", "maybe=", {"maybe": ""}),
    ("a repeated field", "tags=a&tags=b&name=x&tags=a", {"tags": ["a", "b", "a"], "name": "x"}),
    (
        "a repeated field by both names",
        "subInner.numbers=1&sub_inner.numbers=2",
        {"sub_inner": {"numbers": [1, 2]}},
    ),
    (
        "repeated numbers and enums",
        "numbers=1&numbers=2&colours=RED&colours=2",
        {"numbers": [1, 2], "colours": ["RED", "BLUE"]},
    ),
    (
        "repeated messages of one text",
        "times=2026-01-01T00:00:00Z&counts=5",
        {"times": ["2026-01-01T00:00:00Z"], "counts": ["5"]},
    ),
    ("a map", "labels[a]=1&labels[b.c]=2", {"labels": {"a": "1", "b.c": "2"}}),
    ("a map with encoded brackets", "labels%5Ba%20b%5D=1", {"labels": {"a b": "1"}}),
    ("a map with an empty key", "labels[]=1", {"labels": {"": "1"}}),
    (
        "maps of other kinds",
        "flags[-1]=true&sides[false]=5&waits[x]=2s",
        {"flags": {"-1": True}, "sides": {"false": "5"}, "waits": {"x": "2s"}},
    ),
    ("a timestamp with an offset", "at=2026-01-01T01:00:00.5%2B01:00", {"at": "2026-01-01T00:00:00.500Z"}),
    ("a duration", "wait=-1.5s", {"wait": "-1.500s"}),
    ("a field mask in JSON names", "mask=subInner.pageCount,name", {"mask": "subInner.pageCount,name"}),
    ("a field mask in proto names", "mask=sub_inner.page_count,name", {"mask": "subInner.pageCount,name"}),
    ("an empty field mask", "mask=", {"mask": ""}),
    ("wrappers", "wString=x&wI64=5&w_bytes=YQ", {"w_string": "x", "w_i64": "5", "w_bytes": "YQ=="}),
    ("one of a oneof", "right=0", {"right": 0}),
    (
        "a field of a oneof's message",
        "middle.id=x&middle.pageCount=2",
        {"middle": {"id": "x", "page_count": 2}},
    ),
    ("a plus is a space", "name=a+b", {"name": "a b"}),
    ("an encoded plus is a plus", "name=a%2Bb", {"name": "a+b"}),
    ("UTF-8", "name=caf%C3%A9", {"name": "café"}),
    ("UTF-8 sent raw", "name=café", {"name": "café"}),
    ("an encoded ampersand separates nothing", "name=a%26i32=1", {"name": "a&i32=1"}),
    ("a semicolon separates nothing", "name=a;i32=1", {"name": "a;i32=1"}),
]


@pytest.mark.parametrize(("query", "expected"), [row[1:] for row in QUERIES], ids=[row[0] for row in QUERIES])
def test_a_query_parameter(query, expected):
    assert shown(API.call(f"GET /q?{query}")) == expected


BAD_QUERIES = [
    # rule, query, field, words
    ("an unknown name", "nmae=x", "nmae", 't.v1.All has no field "nmae"; did you mean "name"?'),
    ("an unknown nested name", "subInner.x=1", "subInner.x", 't.v1.Inner has no field "x"'),
    ("a name that is not printable as a path", "a%20b=1", '["a b"]', 't.v1.All has no field "a b"'),
    ("not an integer", "i32=x", "i32", 'expected an integer from -2147483648 to 2147483647, got "x"'),
    ("an empty integer", "i32=", "i32", 'expected an integer from -2147483648 to 2147483647, got ""'),
    ("Python's spelling of integers", "i32=1_0", "i32", 'got "1_0"'),
    ("beyond 32 bits", "i32=2147483648", "i32", 'got "2147483648"'),
    ("below zero", "u64=-1", "u64", 'expected an integer from 0 to 18446744073709551615, got "-1"'),
    ("not a boolean", "flag=1", "flag", 'expected "true" or "false", got "1"'),
    ("beyond 32-bit floats", "ratio=1e39", "ratio", 'expected a 32-bit number, got "1e39"'),
    ("not base64", "data=*", "data", 'expected base64 text, got "*"'),
    ("an unknown enum name", "colour=GREEN", "colour", 'unknown value "GREEN" of enum t.v1.Colour'),
    (
        "not a time",
        "at=yesterday",
        "at",
        'expected an RFC 3339 time such as "2026-01-31T12:30:00Z", got "yesterday"',
    ),
    ("not a duration", "wait=5", "wait", 'expected a duration in seconds such as "1.5s", got "5"'),
    (
        "not a field mask",
        "mask=a,,b",
        "mask",
        'expected field paths such as "userName,address.city", got "a,,b"',
    ),
    ("a wrapper's value", "wI64=x", "wI64", "expected an integer"),
    ("twice", "i32=1&i32=1", "i32", "is given more than once"),
    ("twice by both names", "subInner.id=1&sub_inner.id=1", "subInner.id", "is given more than once"),
    ("a map key twice", "labels[a]=1&labels[a]=2", 'labels["a"]', "is given more than once"),
    ("an element of a list", "numbers=1&numbers=x", "numbers", 'got "x"'),
    (
        "a map key",
        "flags[x]=true",
        "flags[x]",
        'expected a key that is an integer from -2147483648 to 2147483647, got "x"',
    ),
    ("a map value", "flags[1]=x", "flags[1]", 'expected "true" or "false", got "x"'),
    ("a map without a key", "labels=x", "labels", 'is a map: give its entries as "labels[key]"'),
    ("a map key left open", "labels[a=x", '["labels[a"]', 'is a map: give its entries as "labels[key]"'),
    ("a map of messages", "inners[a]=x", "inners[a]", "a map of messages cannot be given in a query"),
    ("a key for what is no map", "name[a]=x", "name[a]", '"name" is not a map'),
    ("a message", "subInner=x", "subInner", 'is a message: give its fields, such as "subInner.id"'),
    ("a repeated message", "list=x", "list", "a repeated message cannot be given in a query"),
    ("inside a repeated message", "list.id=x", "list.id", '"list" has no fields to name'),
    ("inside a scalar", "name.id=x", "name.id", '"name" has no fields to name'),
    ("inside a message of one text", "at.seconds=1", "at.seconds", '"at" has no fields to name'),
    ("an empty message", "empty=x", "empty", "is a message: give its fields"),
    (
        "two of a oneof",
        "left=x&right=1",
        "right",
        '"left" is given too, and at most one field of oneof "choice" may be',
    ),
    ("a oneof's message and another", "left=x&middle.id=1", "middle.id", '"left" is given too'),
    ("too deep", "sub_inner" + ".inner" * 200 + ".id=x", None, "nested too deeply"),
    (
        "malformed percent in a value",
        "name=%zz",
        "name",
        '"%zz": a percent sign must be followed by two hexadecimal digits',
    ),
    ("malformed percent in a name", "na%me=x", "", 'query parameter "na%me": a percent sign must be'),
    ("not UTF-8", "name=%ff", "name", '"%ff": is not UTF-8 once percent-decoded'),
]


@pytest.mark.parametrize(
    ("query", "field", "words"), [row[1:] for row in BAD_QUERIES], ids=[row[0] for row in BAD_QUERIES]
)
def test_a_query_parameter_is_refused(query, field, words):
    problem = API.refused(f"GET /q?{query}")
    (violation,) = problem.violations
    assert problem.code == Code.INVALID_ARGUMENT
    assert field is None or violation.field == field
    assert words in violation.description
    assert violation.description in problem.message


def test_bytes_that_are_not_utf8_are_refused_in_printable_words():
    bind = next(iter(API.binds.values()))
    with pytest.raises(RequestProblem) as caught:
        bind((), b"name=\xff", b"", "")
    assert caught.value.violations[0].description == '"�": is not UTF-8 once percent-decoded'


PATHS = [
    # rule, request, message
    ("a segment is decoded whole", "GET /q/a%2Fb%20c", {"name": "a/b c"}),
    ("a plus in a path is a plus", "GET /q/a+b", {"name": "a+b"}),
    ("several segments keep %2F", "GET /m/a/b%2Fc/d%20e", {"name": "a/b%2Fc/d e"}),
    (
        "typed variables",
        "GET /i/-5/true/RED/2026-01-01T00:00:00Z",
        {"i32": -5, "flag": True, "colour": "RED", "at": "2026-01-01T00:00:00Z"},
    ),
    ("a nested variable", "GET /n/x?subInner.pageCount=2", {"sub_inner": {"id": "x", "page_count": 2}}),
    ("a query that repeats the path's value", "GET /q/x?name=x", {"name": "x"}),
    ("a variable in a oneof", "GET /l/x?left=x", {"left": "x"}),
]


@pytest.mark.parametrize(("line", "expected"), [row[1:] for row in PATHS], ids=[row[0] for row in PATHS])
def test_a_path_variable(line, expected):
    assert shown(API.call(line)) == expected


BAD_PATHS = [
    # rule, request, violations
    ("a value that does not fit", "GET /i/x/true/RED/2026-01-01T00:00:00Z", [("i32", 'got "x"')]),
    (
        "all that do not fit",
        "GET /i/x/y/z/w?ratio=v",
        [("i32", ""), ("flag", ""), ("colour", ""), ("at", ""), ("ratio", "")],
    ),
    (
        "a query with another value",
        "GET /q/x?name=y",
        [("name", "the query gives another value than the path's")],
    ),
    (
        "a query that clears the value",
        "GET /q/x?name=",
        [("name", "the query gives another value than the path's")],
    ),
    (
        "a query whose value does not fit",
        "GET /i/1/true/RED/2026-01-01T00:00:00Z?i32=x",
        [("i32", 'got "x"')],
    ),
    ("another of its oneof in the query", "GET /l/x?right=1", [("right", '"left" is given too')]),
    ("not UTF-8", "GET /q/%ff", [("name", "is not UTF-8")]),
    ("malformed percent", "GET /q/%z", [("name", "two hexadecimal digits")]),
]


@pytest.mark.parametrize(
    ("line", "expected"), [row[1:] for row in BAD_PATHS], ids=[row[0] for row in BAD_PATHS]
)
def test_a_path_variable_is_refused(line, expected):
    found = API.refused(line).violations
    assert [violation.field for violation in found] == [field for field, _ in expected]
    assert all(words in violation.description for violation, (_, words) in zip(found, expected, strict=True))


BODIES = [
    # rule, request, body, message
    (
        "the whole message",
        "POST /w",
        b'{"name": "x", "subInner": {"pageCount": 2}}',
        {"name": "x", "sub_inner": {"page_count": 2}},
    ),
    ("a missing body is the empty message", "POST /w", b"", {}),
    ("a missing body with a path", "POST /w/x", b"", {"name": "x"}),
    (
        "a body that repeats the path's value",
        "POST /w/x",
        b'{"name": "x", "i32": 1}',
        {"name": "x", "i32": 1},
    ),
    (
        "a body with a field beside a nested variable",
        "POST /w/n/x",
        b'{"subInner": {"pageCount": 2}}',
        {"sub_inner": {"id": "x", "page_count": 2}},
    ),
    ("an optional field bound by the path", "POST /w/o/x", b'{"maybe": "x"}', {"maybe": "x"}),
    ("a field", "POST /p", b'{"id": "x"}', {"sub_inner": {"id": "x"}}),
    ("a field of nothing", "POST /p", b"", {}),
    ("a field that is null", "POST /p", b"null", {}),
    ("a field, present and empty", "POST /p", b"{}", {"sub_inner": {}}),
    (
        "a field and a query",
        "POST /p?name=x&tags=a",
        b'{"id": "x"}',
        {"name": "x", "tags": ["a"], "sub_inner": {"id": "x"}},
    ),
    (
        "a field and a variable within it",
        "POST /p/x",
        b'{"pageCount": 2}',
        {"sub_inner": {"id": "x", "page_count": 2}},
    ),
    ("a repeated message field", "POST /p/list", b'[{"id": "x"}, {}]', {"list": [{"id": "x"}, {}]}),
    ("a repeated field", "POST /p/tags", b'["a", "b"]', {"tags": ["a", "b"]}),
    ("a map field", "POST /p/labels", b'{"a": "b"}', {"labels": {"a": "b"}}),
    ("a scalar field", "POST /p/i32", b"5", {"i32": 5}),
    ("a field of free JSON", "POST /p/struct", b'{"a": [1]}', {"struct": {"a": [1.0]}}),
    ("white space where no body is declared", "GET /q", b" \n", {}),
]


@pytest.mark.parametrize(
    ("line", "body", "expected"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES]
)
def test_a_body(line, body, expected):
    assert shown(API.call(line, body)) == expected


BAD_BODIES = [
    # rule, request, body, violations
    ("malformed", "POST /w", b"{", [("", "malformed JSON at line 1")]),
    ("malformed in a field", "POST /p", b"{", [("subInner", "malformed JSON at line 1")]),
    ("a wrong type", "POST /w", b'{"i32": "x"}', [("i32", "expected an integer")]),
    (
        "paths of a field start at the request",
        "POST /p",
        b'{"pageCount": "x"}',
        [("subInner.pageCount", "expected an integer")],
    ),
    (
        "paths of a list",
        "POST /p/list",
        b'[{}, {"pageCount": "x"}]',
        [("list[1].pageCount", "expected an integer")],
    ),
    ("a list that is none", "POST /p/list", b"{}", [("list", "expected an array")]),
    (
        "another value than the path's",
        "POST /w/x",
        b'{"name": "y"}',
        [("name", "the body gives another value than the path's")],
    ),
    (
        "another value than a nested variable's",
        "POST /p/x",
        b'{"id": "y"}',
        [("subInner.id", "the body gives another value than the path's")],
    ),
    (
        "another of the oneof of a variable",
        "POST /w/l/x",
        b'{"right": 1}',
        [("left", '"right" is given too')],
    ),
    (
        "an optional default against the path",
        "POST /w/o/x",
        b'{"maybe": ""}',
        [("maybe", "the body gives another value than the path's")],
    ),
    ("a body where none is declared", "GET /q", b"{}", [("", "a body was sent, and this method takes none")]),
    (
        "a query where all is in the body",
        "POST /w?i32=1",
        b"",
        [("i32", "this method takes no query parameters")],
    ),
    ("a query for the body's field", "POST /p?subInner.id=x", b"", [("subInner.id", "belongs in the body")]),
    (
        "a map key of the body's field",
        "POST /p/labels?labels[a]=x",
        b"",
        [("labels[a]", "belongs in the body")],
    ),
    ("all at once", "POST /p?x=1&i32=y", b'{"z": 1}', [("subInner.z", ""), ("x", ""), ("i32", "")]),
]


@pytest.mark.parametrize(
    ("line", "body", "expected"), [row[1:] for row in BAD_BODIES], ids=[row[0] for row in BAD_BODIES]
)
def test_a_body_is_refused(line, body, expected):
    problem = API.refused(line, body)
    assert [violation.field for violation in problem.violations] == [field for field, _ in expected]
    assert all(
        words in violation.description
        for violation, (_, words) in zip(problem.violations, expected, strict=True)
    )


def test_the_message_of_a_problem_is_its_first_violation_and_how_many_more():
    assert API.refused("GET /q?i32=x").message.startswith("i32: expected an integer")
    assert API.refused("GET /q?i32=x&u32=y&u64=z").message.endswith('got "x" (and 2 more)')


def test_a_hostile_query_is_answered_with_a_bounded_list():
    problem = API.refused("GET /q?" + "&".join(f"x{index}=1" for index in range(1000)))
    assert len(problem.violations) == 100
    assert problem.message.endswith("(and 999 more)")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=UTF-8",
        "application/merge-patch+json",
        "text/json",
        "",
        'application/json;charset="utf-8"',
    ],
)
def test_json_content_types_are_read(content_type):
    assert API.call("POST /w", b'{"name": "x"}', content_type).name == "x"


@pytest.mark.parametrize(
    ("content_type", "words"),
    [
        ("text/plain", 'content type "text/plain" is not supported: send application/json'),
        ("application/x-www-form-urlencoded", "is not supported"),
        ("application/json; charset=latin-1", 'charset "latin-1" is not supported'),
    ],
)
@pytest.mark.parametrize("line", ["POST /w", "POST /p"])
def test_other_content_types_are_415(line, content_type, words):
    problem = API.refused(line, b"{}", content_type)
    assert problem.http_status == 415
    assert words in problem.message


def test_a_content_type_without_a_body_is_of_no_interest():
    assert API.call("POST /w", b"", "text/plain").name == ""


def test_an_http_body_takes_any_bytes_with_their_type():
    message = API.call("POST /raw", b"\xff\x00", "image/png")
    assert (message.content_type, message.data) == ("image/png", b"\xff\x00")
    message = API.call("POST /raw/x?kind=y", b"\xff", "image/png")
    assert (message.name, message.kind, message.file.content_type, message.file.data) == (
        "x",
        "y",
        "image/png",
        b"\xff",
    )


def test_unknown_parameters_can_be_ignored_but_not_misused_ones():
    api = Api(PROTO, ignore_unknown=True)
    assert shown(api.call("GET /q?x=1&subInner.y=2&name=z")) == {"name": "z"}
    assert shown(api.call("POST /w?i32=1", b"{}")) == {}
    assert [violation.field for violation in api.refused("GET /q?x=1&subInner=2").violations] == ["subInner"]
    assert [violation.field for violation in api.refused("POST /p?subInner.id=2").violations] == [
        "subInner.id"
    ]


def test_parameters_of_others_can_be_ignored_by_name_where_they_name_no_field():
    api = Api(PROTO, ignored=frozenset({"key", "name"}))
    assert shown(api.call("GET /q?key=secret&name=x")) == {"name": "x"}
    assert [violation.field for violation in api.refused("GET /q?ky=secret").violations] == ["ky"]
