"""How bodies that are not JSON become the messages of a client's stream, however they are cut into pieces."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.bind.multipart import MOST_PIECE
from gateway.bind.request import QueryOptions, compile_envelope
from gateway.bind.upload import compile_upload
from gateway.codec.json import Codec
from gateway.problem import RequestProblem
from gateway.route.table import read
from gateway.schema.pool import read_set
from tests.gateway.bind.api import shown
from tests.gateway.bind.test_form import GIF, PARTS, body, part
from tests.protoc import service_set

PROTO = """
message Meta { string title = 1; repeated string tags = 2; }
message Chunk { string name = 1; google.api.HttpBody file = 2; bytes raw = 3; repeated google.api.HttpBody more = 4;
  string after = 5; Meta meta = 6; }
message Classic { oneof data { Meta meta = 1; bytes chunk = 2; google.api.HttpBody file = 3; } string name = 4; }
message Held { string name = 1; Chunk chunk = 2; int32 size = 3; }
service S {
  rpc Raw(stream google.api.HttpBody) returns (Meta) { option (google.api.http) = { post: "/raw" body: "*" }; }
  rpc RawField(stream Chunk) returns (Meta) { option (google.api.http) = { post: "/raw/{name}" body: "file" }; }
  rpc Send(stream Chunk) returns (Meta) { option (google.api.http) = { post: "/send/{name}" body: "*" }; }
  rpc Choose(stream Classic) returns (Meta) { option (google.api.http) = { post: "/classic" body: "*" }; }
  rpc Hold(stream Held) returns (Meta) { option (google.api.http) = { post: "/held/{chunk.name}" body: "chunk" }; }
  rpc Nest(stream Chunk) returns (Meta) { option (google.api.http) = { post: "/nest/{meta.title}" body: "*" }; }
  rpc Time(stream Held) returns (Meta) { option (google.api.http) = { post: "/size" body: "size" }; }
}
"""
SCHEMA, _ = read_set(service_set(PROTO))
TABLE, _ = read(SCHEMA.services)
BINDINGS = {binding.method.name: binding for binding in TABLE.bindings}
OPENERS = {
    name: compile_upload(binding, Codec(binding.method.input_type), 1000)
    for name, binding in BINDINGS.items()
}


def opened(name, captures=(), query=b"", content_type=PARTS):
    first = compile_envelope(BINDINGS[name], QueryOptions())(captures, query)
    return OPENERS[name](first, content_type)


def messages(reader, *pieces):
    made = [message for piece in pieces for message in reader.feed(piece)]
    return [shown(message) for message in made + reader.finish()]


def test_a_raw_body_goes_on_as_it_comes():
    reader = opened("Raw", content_type="image/png")
    assert [shown(message) for message in reader.feed(b"a")] == [
        {"content_type": "image/png", "data": "YQ=="}
    ]
    assert [shown(message) for message in reader.feed(b"b")] == [{"data": "Yg=="}]
    assert reader.feed(b"") == []
    assert reader.finish() == []


def test_a_raw_body_in_a_field_comes_with_path_and_query_first():
    reader = opened("RawField", ("n",), b"after=x", "a/b")
    assert messages(reader, b"a", b"b") == [
        {"name": "n", "after": "x", "file": {"content_type": "a/b", "data": "YQ=="}},
        {"file": {"data": "Yg=="}},
    ]


def test_an_empty_raw_body_is_one_message():
    assert messages(opened("RawField", ("n",), b"", "a/b")) == [
        {"name": "n", "file": {"content_type": "a/b"}}
    ]
    assert messages(opened("Raw", content_type="")) == [{}]


def test_large_pieces_are_cut():
    made = opened("Raw", content_type="a/b").feed(bytes(2 * MOST_PIECE + 1))
    assert [len(message.data) for message in made] == [MOST_PIECE, MOST_PIECE, 1]
    made = opened("Send", ("n",)).feed(part("raw", bytes(MOST_PIECE + 1), filename="a"))
    assert [len(message.raw) for message in made[:2]] == [MOST_PIECE, 1]


STREAMS = [
    # rule, method, captures, body, messages
    ("texts alone are one message", "Send", ("n",), body(part("after", b"x")), [{"name": "n", "after": "x"}]),
    ("no parts", "Send", ("n",), body(), [{"name": "n"}]),
    ("texts before a file come with its first piece", "Send", ("n",),
     body(part("meta.title", b"t"), part("file", b"a", filename="f", content_type="a/b")),
     [{"name": "n", "meta": {"title": "t"}, "file": {"content_type": "a/b", "data": "YQ=="}}]),
    ("texts after a file are a message of their own", "Send", ("n",),
     body(part("file", b"a", filename="f", content_type="a/b"), part("after", b"x")),
     [{"name": "n", "file": {"content_type": "a/b", "data": "YQ=="}}, {"after": "x"}]),
    ("a second file begins with its content type", "Send", ("n",),
     body(part("more", b"a", content_type="a/b"), part("more", b"b", content_type="c/d")),
     [{"name": "n", "more": [{"content_type": "a/b", "data": "YQ=="}]}, {"more": [{"content_type": "c/d", "data": "Yg=="}]}]),
    ("an empty file", "Send", ("n",), body(part("file", b"", filename="f", content_type="a/b")),
     [{"name": "n", "file": {"content_type": "a/b"}}]),
    ("what shares a oneof with the file comes before it", "Choose", (),
     body(part("name", b"n"), part("meta.title", b"t"), part("meta.tags", b"a"), part("chunk", b"a", filename="f")),
     [{"name": "n", "meta": {"title": "t", "tags": ["a"]}}, {"chunk": "YQ=="}]),
    ("JSON that shares a oneof with the file", "Choose", (),
     body(part("meta", b'{"title": "t"}', content_type="application/json"), part("file", b"a", content_type="a/b")),
     [{"meta": {"title": "t"}}, {"file": {"content_type": "a/b", "data": "YQ=="}}]),
    ("a body's field", "Hold", ("n",), body(part("after", b"x"), part("raw", b"a", filename="f")),
     [{"chunk": {"name": "n", "after": "x", "raw": "YQ=="}}]),
    ("what repeats the path", "Hold", ("n",), body(part("raw", b"a", filename="f"), part("name", b"n")),
     [{"chunk": {"name": "n", "raw": "YQ=="}}]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "captures", "sent", "expected"), [row[1:] for row in STREAMS], ids=[row[0] for row in STREAMS]
)
def test_parts_become_messages(method, captures, sent, expected):
    assert messages(opened(method, captures), sent) == expected


def test_a_file_comes_in_the_pieces_it_arrives_in():
    whole = part("file", b"abcdef", filename="f", content_type="a/b")
    at = whole.index(b"def")
    assert messages(opened("Send", ("n",)), whole[:at], whole[at:] + b"--b-1--") == [
        {"name": "n", "file": {"content_type": "a/b", "data": "YWJj"}},
        {"file": {"data": "ZGVm"}},
    ]


BAD = [
    # rule, method, captures, body, words
    ("another value than the path's", "Send", ("n",), part("name", b"m"), "name: the body gives another value than"),
    ("the same of a field", "Hold", ("n",), part("name", b"m"), "chunk.name: the body gives another value than"),
    ("after the first message, too", "Send", ("n",), part("raw", b"x", filename="f") + part("name", b"m"),
     "name: the body gives another value than"),
    ("JSON for what the path says", "Send", ("n",), part("name", b'"m"', content_type="application/json"),
     "name: the path says it: no part may"),
    ("JSON around what the path says", "Nest", ("n",), part("meta", b"{}", content_type="application/json"),
     "meta: the path says it: no part may"),
    ("an unknown name", "Send", ("n",), part("x", b"m"), 'x: t.v1.Chunk has no field "x"'),
    ("a file twice", "Send", ("n",), part("file", b"x") + part("file", b"x"), "file: is given more than once"),
    ("too many texts", "Send", ("n",), part("meta.tags", b"x" * 600) + part("meta.tags", b"x" * 600),
     "the texts of the form are larger than the limit of 1000 bytes"),
    ("a text that does not end", "Send", ("n",), part("after", b"x" * 1100)[:-2], "the texts of the form are larger"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "captures", "sent", "words"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
def test_parts_are_refused_as_soon_as_they_are_wrong(method, captures, sent, words):
    with pytest.raises(RequestProblem) as caught:
        opened(method, captures).feed(sent + b"--b-1\r\n")
    assert words in caught.value.message


def test_a_body_that_breaks_off_is_refused():
    reader = opened("Send", ("n",))
    reader.feed(part("raw", b"x", filename="f"))
    with pytest.raises(RequestProblem, match="before its last boundary"):
        reader.finish()


@pytest.mark.parametrize(
    "content_type", ["application/json", "", "application/x-ndjson", "application/x-www-form-urlencoded"]
)
def test_other_bodies_are_for_others_to_read(content_type):
    assert opened("Send", ("n",), content_type=content_type) is None
    assert opened("Time") is None


def test_path_and_query_are_refused_before_the_body_is_read():
    with pytest.raises(RequestProblem, match="takes no query parameters"):
        opened("Send", ("n",), b"after=x")


WHOLE = body(
    part("meta.title", b"t"),
    part("file", GIF * 20 + b"\r\n--b-", filename="f", content_type="image/gif"),
    part("after", b"x"),
    part("raw", b"\r\n\r\n", filename="g"),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_however_a_body_is_cut_it_says_the_same(cuts):
    places = [0, *sorted(cuts), len(WHOLE)]
    reader = opened("Send", ("n",))
    made = [message for start, end in itertools.pairwise(places) for message in reader.feed(WHOLE[start:end])]
    made += reader.finish()
    assert b"".join(message.file.data for message in made) == GIF * 20 + b"\r\n--b-"
    assert b"".join(message.raw for message in made) == b"\r\n\r\n"
    assert [message.file.content_type for message in made if message.file.content_type] == ["image/gif"]
    assert [message.after for message in made if message.after] == ["x"]
    assert (made[0].name, made[0].meta.title) == ("n", "t")
