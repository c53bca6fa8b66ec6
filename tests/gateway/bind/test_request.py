"""How captures, query and body become a request message: google/api/http.proto, and what is decided beyond it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.problem import RequestProblem
from tests.gateway.bind.api import API, Api, shown

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


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=UTF-8",
        "application/vnd.shop.v1+json",
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
        ("image/png", "send application/json, application/x-www-form-urlencoded or multipart/form-data"),
        (
            "application/merge-patch+json",
            "it is for PATCH of a method that takes a field mask beside its body",
        ),
        ("application/json-patch+json", 'content type "application/json-patch+json" is not supported'),
        ("application/json; charset=latin-1", 'charset "latin-1" is not supported'),
    ],
)
@pytest.mark.parametrize("line", ["POST /w", "POST /p"])
def test_other_content_types_are_415(line, content_type, words):
    problem = API.refused(line, b"{}", content_type)
    assert problem.http_status == 415
    assert words in problem.message


@pytest.mark.parametrize(
    "line", ["POST /p/list", "POST /p/tags", "POST /p/labels", "POST /p/i32", "POST /p/struct"]
)
def test_a_form_is_no_list_no_scalar_and_no_free_json(line):
    assert API.refused(line, b"a=1", "application/x-www-form-urlencoded").http_status == 415


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


NAMES = st.sampled_from(
    [
        "name",
        "i32",
        "flag",
        "data",
        "colour",
        "maybe",
        "left",
        "middle.id",
        "tags",
        "times",
        "labels[a]",
        "flags[1]",
        "at",
        "wait",
        "mask",
        "wI64",
        "list",
        "struct",
        "any",
        "subInner.inner.id",
        "value",
        "%40odd",
        "labels[",
        "]",
        "..",
        "[x]",
    ]
)
PAIRS = st.tuples(NAMES | st.text(max_size=6), st.text(max_size=12) | st.integers().map(str)).map("=".join)
QUERY_BYTES = st.one_of(
    st.lists(PAIRS, max_size=6).map(lambda pairs: "&".join(pairs).encode("utf-8", "replace")),
    st.binary(max_size=40),
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(list(API.binds)),
    st.binary(max_size=12),
    QUERY_BYTES,
    st.binary(max_size=20) | st.sampled_from([b"{}", b"[]", b"1"]),
)
def test_whatever_is_sent_is_bound_or_refused(binding, path, query, body):
    """Nothing a client sends may raise anything but RequestProblem, whose words can always be sent."""
    captures = [path.decode("utf-8", "surrogateescape")] * len(binding.template.variables)
    try:
        message = API.binds[binding](captures, query, body, "application/json")
    except RequestProblem as problem:
        "".join([problem.message, *(text for violation in problem.violations for text in violation)]).encode()
    else:
        message.SerializeToString()
