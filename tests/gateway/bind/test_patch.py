"""Which fields a PATCH changes: masks made of bodies, masks that clients give, merge patches."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.codec.option import Options
from gateway.problem import RequestProblem
from tests.gateway.bind.api import Api

MERGE = "application/merge-patch+json"

PROTO = """
enum Colour { COLOUR_UNSPECIFIED = 0; RED = 1; BLUE = 2; }
message Address { string street = 1; string post_code = 2; Address next = 3; repeated string lines = 4; }
message User {
  string name = 1; string display_name = 2; optional int32 age = 3; Address address = 4;
  repeated string tags = 5; repeated Address others = 6;
  map<string, string> labels = 7; map<string, Address> places = 8; map<int32, bool> flags = 9;
  map<bool, string> sides = 10; map<string, google.protobuf.Value> extras = 11;
  oneof contact { string email = 12; Address letter = 13; }
  google.protobuf.StringValue nick = 14; google.protobuf.BoolValue agreed = 15;
  google.protobuf.Struct free = 16; google.protobuf.Value any_json = 17; google.protobuf.ListValue items = 18;
  google.protobuf.Any detail = 19; google.protobuf.Timestamp born_at = 20; google.protobuf.Duration wait = 21;
  google.protobuf.FieldMask seen = 22; google.protobuf.Empty nothing = 23; google.protobuf.NullValue nil = 24;
  bytes picture = 25; Colour colour = 26; string odd = 27 [json_name = "@odd"];
}
message UpdateUser { User user = 1; google.protobuf.FieldMask update_mask = 2; bool dry_run = 3; }
message UpdateOther { User user = 1; google.protobuf.FieldMask fields = 2; google.protobuf.FieldMask read_mask = 3; }
message UpdateBare { User user = 1; google.protobuf.FieldMask read_mask = 2; }
service S {
  rpc Update(UpdateUser) returns (User) { option (google.api.http) = { patch: "/users" body: "user"
    additional_bindings { patch: "/v1/{user.name=users/*}" body: "user" }
    additional_bindings { patch: "/whole" body: "*" }
    additional_bindings { patch: "/flag" body: "dry_run" }
    additional_bindings { put: "/users" body: "user" } }; }
  rpc Other(UpdateOther) returns (User) { option (google.api.http) = { patch: "/other" body: "user" }; }
  rpc Bare(UpdateBare) returns (User) { option (google.api.http) = { patch: "/bare" body: "user" }; }
}
"""
API = Api(PROTO)


def paths(message, mask="update_mask"):
    return list(getattr(message, mask).paths)


# In both forms of JSON: rule, body, paths.
ROWS = [
    ("a scalar", b'{"displayName": "x"}', ["display_name"]),
    ("by its proto name", b'{"display_name": "x"}', ["display_name"]),
    ("by a json_name of its own", b'{"@odd": "x"}', ["odd"]),
    ("in the order of the body", b'{"age": 1, "displayName": "x"}', ["age", "display_name"]),
    ("set to its default", b'{"displayName": ""}', ["display_name"]),
    ("an optional set to its default", b'{"age": 0}', ["age"]),
    ("null clears", b'{"displayName": null}', ["display_name"]),
    ("null clears an optional", b'{"age": null}', ["age"]),
    ("bytes", b'{"picture": "YQ"}', ["picture"]),
    ("an enum by name", b'{"colour": "RED"}', ["colour"]),
    ("an enum by number", b'{"colour": 1}', ["colour"]),
    ("leaves of a nested message", b'{"address": {"postCode": "1"}}', ["address.post_code"]),
    (
        "leaves of what is nested twice",
        b'{"address": {"street": "x", "next": {"street": "y"}}}',
        ["address.street", "address.next.street"],
    ),
    ("an empty message is the field itself (grpc-gateway#3866)", b'{"address": {}}', ["address"]),
    ("an empty message within", b'{"address": {"next": {}}}', ["address.next"]),
    ("null clears a message", b'{"address": null}', ["address"]),
    ("null clears within a message", b'{"address": {"street": null}}', ["address.street"]),
    ("a message without fields", b'{"nothing": {}}', ["nothing"]),
    ("a repeated field as a whole", b'{"tags": ["a"]}', ["tags"]),
    ("an empty repeated field", b'{"tags": []}', ["tags"]),
    ("null clears a repeated field", b'{"tags": null}', ["tags"]),
    ("repeated messages as a whole", b'{"others": [{"street": "x"}]}', ["others"]),
    ("a repeated field within", b'{"address": {"lines": []}}', ["address.lines"]),
    ("null clears a map", b'{"labels": null}', ["labels"]),
    ("a oneof's scalar", b'{"email": "x"}', ["email"]),
    ("a oneof's scalar, cleared", b'{"email": null}', ["email"]),
    ("a oneof's message", b'{"letter": {"street": "x"}}', ["letter.street"]),
    ("a oneof's empty message", b'{"letter": {}}', ["letter"]),
    ("one of a oneof set, the other cleared", b'{"email": null, "letter": {}}', ["email", "letter"]),
    ("a wrapper", b'{"nick": "x"}', ["nick"]),
    ("a wrapper of the default", b'{"agreed": false}', ["agreed"]),
    ("a wrapper, cleared", b'{"nick": null}', ["nick"]),
    ("a time", b'{"bornAt": "2026-01-01T00:00:00Z"}', ["born_at"]),
    ("a duration, cleared", b'{"wait": null}', ["wait"]),
    ("a field mask (grpc-gateway#1930)", b'{"seen": "a.b,c"}', ["seen"]),
    ("free JSON, a list", b'{"items": [1, {"a": null}]}', ["items"]),
    ("free JSON, a scalar", b'{"anyJson": 1}', ["any_json"]),
    ("free JSON, null", b'{"anyJson": null}', ["any_json"]),
    ("free JSON of an object, cleared", b'{"free": null}', ["free"]),
    ("a null value", b'{"nil": null}', ["nil"]),
    ("nothing", b"{}", []),
]
# As application/json: maps and free JSON change as a whole.
WHOLE_ROWS = [
    ("a map as a whole", b'{"labels": {"a": "b"}}', ["labels"]),
    ("an empty map", b'{"labels": {}}', ["labels"]),
    ("a map of messages as a whole", b'{"places": {"a": {"street": "x"}}}', ["places"]),
    ("a map of free JSON may hold null", b'{"extras": {"a": null}}', ["extras"]),
    ("a map with boolean keys", b'{"sides": {"true": "x"}}', ["sides"]),
    ("free JSON of an object", b'{"free": {"a": {"b": null}}}', ["free"]),
    ("free JSON in a value", b'{"anyJson": {"a": 1}}', ["any_json"]),
    (
        "an Any",
        b'{"detail": {"@type": "type.googleapis.com/google.protobuf.Empty"}}',
        ["detail"],
    ),
]
# As a merge patch: the members of maps change one by one.
MERGE_ROWS = [
    ("a member of a map", b'{"labels": {"a": "b"}}', ["labels.a"]),
    (
        "null removes a member (grpc-gateway#2056)",
        b'{"labels": {"a": null, "b": "c"}}',
        ["labels.a", "labels.b"],
    ),
    ("an empty map changes nothing", b'{"labels": {}}', []),
    ("a key that needs quotes", b'{"labels": {"a.b/c": null}}', ["labels.`a.b/c`"]),
    ("an empty key", b'{"labels": {"": null}}', ["labels.``"]),
    (
        "a number as a key, in its plain spelling",
        b'{"flags": {"-7": null, "8": true}}',
        ["flags.-7", "flags.8"],
    ),
    ("within a map's message", b'{"places": {"a": {"postCode": null}}}', ["places.a.post_code"]),
    ("an empty message in a map", b'{"places": {"a": {}}}', ["places.a"]),
    ("null removes a member of free JSON", b'{"extras": {"a": null, "b": 1}}', ["extras.a", "extras.b"]),
]
BOTH = [(rule, content_type, *row) for rule, *row in ROWS for content_type in ("application/json", MERGE)]
BOTH += [(rule, "application/json", *row) for rule, *row in WHOLE_ROWS]
BOTH += [(rule, MERGE, *row) for rule, *row in MERGE_ROWS]


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [row[1:] for row in BOTH],
    ids=[f"{row[0]} {row[1]}" for row in BOTH],
)
def test_the_mask_of_a_body(content_type, body, expected):
    message = API.call("PATCH /users", body, content_type)
    assert paths(message) == expected
    assert message.HasField("update_mask")


def test_what_null_removes_is_not_in_the_message():
    message = API.call("PATCH /users", b'{"anyJson": null, "extras": {"a": null}, "nil": null}', MERGE)
    assert not message.user.HasField("any_json")
    assert not message.user.extras
    message = API.call("PATCH /users", b'{"anyJson": null, "extras": {"a": null}}')
    assert message.user.HasField("any_json")
    assert message.user.extras["a"].HasField("null_value")


BAD = [
    # rule, content type, body, violations
    ("an unknown field", "", b'{"nmae": 1}', [("user.nmae", 'did you mean "name"')]),
    ("an unknown field within", MERGE, b'{"address": {"x": null}}', [("user.address.x", "no such field")]),
    ("null", "", b"null", [("user", "a patch is an object with the fields to change")]),
    ("a number", MERGE, b"1", [("user", "a patch is an object")]),
    ("malformed", MERGE, b"{", [("user", "malformed JSON")]),
    ("null in a map", "", b'{"labels": {"a": null}}', [('user.labels["a"]', "got null")]),
    ("null in a list", MERGE, b'{"tags": [null]}', [("user.tags[0]", "got null")]),
    (
        "both spellings",
        MERGE,
        b'{"display_name": null, "displayName": "x"}',
        [("user.displayName", "given twice")],
    ),
    ("a wrong type", "", b'{"address": 1}', [("user.address", "expected an object")]),
    ("a mask that is an object (grpc-gateway#1930)", "", b'{"seen": {"paths": ["a"]}}', [("user.seen", "")]),
    (
        "a merge into a Struct",
        MERGE,
        b'{"free": {"a": 1}}',
        [("user.free", "a merge patch cannot reach into free")],
    ),
    ("a merge into a Value", MERGE, b'{"anyJson": {}}', [("user.anyJson", "a merge patch cannot")]),
    ("a merge into an Any", MERGE, b'{"detail": {"@type": "x"}}', [("user.detail", "a merge patch cannot")]),
    (
        "a merge into a map's Value",
        MERGE,
        b'{"extras": {"a": {}}}',
        [('user.extras["a"]', "a merge patch cannot")],
    ),
    (
        "a boolean key",
        MERGE,
        b'{"sides": {"true": null}}',
        [('user.sides["true"]', "no path of a field mask leads")],
    ),
    (
        "a key with a backtick",
        MERGE,
        b'{"labels": {"`": null}}',
        [('user.labels["`"]', "no path of a field mask")],
    ),
    (
        "a key that is no number",
        MERGE,
        b'{"flags": {"x": true}}',
        [('user.flags["x"]', "expected a key that is")],
    ),
    ("too deep", "", b'{"address":' + b'{"next":' * 200 + b"{}" + b"}" * 201, [(None, "nested too deeply")]),
    (
        "too deep to merge",
        MERGE,
        b'{"address":' + b'{"next":' * 200 + b"{}" + b"}" * 201,
        [(None, "nested too deeply")],
    ),
]


@pytest.mark.parametrize(
    ("content_type", "body", "expected"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
def test_a_patch_is_refused(content_type, body, expected):
    found = API.refused("PATCH /users", body, content_type).violations
    assert len(found) == len(expected)
    for violation, (field, words) in zip(found, expected, strict=True):
        assert field is None or violation.field == field
        assert words in violation.description


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("PATCH /users?updateMask=age,displayName", ["age", "display_name"]),
        ("PATCH /users?update_mask=age", ["age"]),
        ("PATCH /users?update%4Dask=age", ["age"]),
        ("PATCH /users?updateMask=*", ["*"]),
        ("PATCH /users?updateMask=", []),
    ],
)
@pytest.mark.parametrize("content_type", ["application/json", MERGE])
def test_the_clients_own_mask_is_the_one_that_holds(line, expected, content_type):
    message = API.call(line, b'{"displayName": "x", "anyJson": null}', content_type)
    assert paths(message) == expected
    assert message.HasField("update_mask")
    assert message.user.display_name == "x"


def test_other_query_parameters_go_with_a_made_mask():
    message = API.call("PATCH /users?dryRun=true", b'{"age": 1}')
    assert (message.dry_run, paths(message)) == (True, ["age"])


def test_what_the_path_says_is_no_change():
    message = API.call("PATCH /v1/users/1", b'{"name": "users/1", "age": 1}')
    assert (message.user.name, paths(message)) == ("users/1", ["age"])
    problem = API.refused("PATCH /v1/users/1", b'{"name": "users/2"}')
    assert problem.violations[0] == ("user.name", "the body gives another value than the path's")


def test_no_body_makes_no_mask():
    assert not API.call("PATCH /users").HasField("update_mask")


def test_the_only_mask_of_a_request_is_taken_whatever_its_name():
    message = API.call("PATCH /other", b'{"age": 1}')
    assert paths(message, "fields") == ["age"]
    assert not message.HasField("read_mask")


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("PATCH /bare", b'{"age": 1}'),  # a read_mask says what to answer
        ("PUT /users", b'{"age": 1}'),  # PUT replaces
        ("PATCH /whole", b'{"user": {"age": 1}}'),  # the mask is one of the body's fields
        ("PATCH /flag", b"true"),  # no message
    ],
)
def test_where_no_mask_is_made(line, body):
    message = API.call(line, body)
    assert not any(field.name.endswith("mask") for field, _ in message.ListFields())
    assert API.refused(line, body, MERGE).http_status == 415


def test_forms_do_not_say_what_they_leave_alone():
    form = "application/x-www-form-urlencoded"
    assert "the mask beside the form" in API.refused("PATCH /users", b"age=1", form).message
    message = API.call("PATCH /users?updateMask=age", b"age=1", form)
    assert (message.user.age, paths(message)) == (1, ["age"])


def test_unknown_names_that_are_let_pass_clear_nothing():
    api = Api(PROTO, codec=Options(ignore_unknown=True))
    message = api.call("PATCH /users", b'{"colour": "GREEN", "nmae": null, "address": {"x": 1}, "age": 1}')
    assert paths(message) == ["age"]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["address", "next", "labels", "places", "street", "email", "extras", "free", "x", ""]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(JSON_VALUES, st.sampled_from(["application/json", MERGE]))
def test_whatever_is_sent_is_a_patch_or_refused(value, content_type):
    try:
        body = orjson.dumps(value)
    except TypeError:
        return
    try:
        message = API.call("PATCH /users", body, content_type)
    except RequestProblem:
        return
    assert all(path and not path.endswith(".") for path in paths(message))
