"""An API whose bindings tests call as HTTP clients would."""

from __future__ import annotations

import pytest
from google.protobuf import json_format

from gateway.bind.request import QueryOptions, compile_request
from gateway.codec.json import Codec
from gateway.codec.option import Options
from gateway.problem import RequestProblem
from gateway.route.table import Table, read
from gateway.route.trie import Trie
from gateway.schema.pool import read_set
from tests.protoc import service_set


def trie_of(table: Table) -> Trie:
    """The table's bindings by method and path."""
    return Trie((binding.http_method, binding.template, binding) for binding in table.bindings)


class Api:
    """An API compiled from proto text: `call` answers with the request message the backend would get."""

    def __init__(self, proto, *, codec=None, **options):
        schema, problems = read_set(service_set(proto))
        table, more = read(schema.services)
        assert (problems, more) == ((), ())
        self.trie = trie_of(table)
        self.binds = {
            binding: compile_request(
                binding, Codec(binding.method.input_type, options=codec or Options()), QueryOptions(**options)
            )
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
