"""What forms become: URL-encoded ones and those in parts, each read whole into one message."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.codec.option import Options
from gateway.problem import RequestProblem
from tests.gateway.bind.api import API, PROTO, Api, shown

FORM = "application/x-www-form-urlencoded"
PARTS = 'multipart/form-data; boundary="b-1"'


def part(name, data, *, filename=None, content_type=None, extra=b""):
    head = f'content-disposition: form-data; name="{name}"' + (f'; filename="{filename}"' if filename else "")
    head += f"\r\ncontent-type: {content_type}" if content_type else ""
    return b"--b-1\r\n" + head.encode() + extra + b"\r\n\r\n" + data + b"\r\n"


def body(*parts):
    return b"".join(parts) + b"--b-1--\r\n"


FORMS = [
    # rule, request, body, message
    ("the whole message", "POST /w", b"name=x&i32=5", {"name": "x", "i32": 5}),
    ("a plus is a space", "POST /w", b"name=a+b%2Bc", {"name": "a b+c"}),
    ("nested, repeated, maps", "POST /w", b"subInner.id=x&tags=a&tags=b&labels[k]=v",
     {"sub_inner": {"id": "x"}, "tags": ["a", "b"], "labels": {"k": "v"}}),
    ("enums, times, wrappers", "POST /w", b"colour=2&wait=1s&wI64=5", {"colour": "BLUE", "wait": "1s", "w_i64": "5"}),
    ("a field", "POST /p?name=n", b"id=x&page_count=2", {"name": "n", "sub_inner": {"id": "x", "page_count": 2}}),
    ("a field named by no text is there all the same", "POST /p", b"&", {"sub_inner": {}}),
    ("what repeats the path", "POST /w/x", b"name=x&i32=1", {"name": "x", "i32": 1}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "sent", "expected"), [row[1:] for row in FORMS], ids=[row[0] for row in FORMS]
)
def test_a_form(line, sent, expected):
    assert shown(API.call(line, sent, FORM)) == expected


def test_a_form_without_a_body_is_the_empty_message():
    assert shown(API.call("POST /w", b"", FORM)) == {}


BAD_FORMS = [
    # rule, request, body, violations
    ("an unknown name", "POST /w", b"nmae=x", [("nmae", 'did you mean "name"')]),
    (
        "paths start at the request",
        "POST /p",
        b"pageCount=x",
        [("subInner.pageCount", "expected an integer")],
    ),
    ("an unknown name of a field", "POST /p", b"x=1", [("subInner.x", "has no field")]),
    ("twice", "POST /w", b"name=x&name=y", [("name", "is given more than once")]),
    ("two of a oneof", "POST /w", b"left=x&right=1", [("right", '"left" is given too')]),
    (
        "another value than the path's",
        "POST /w/x",
        b"name=y",
        [("name", "the body gives another value than the")],
    ),
    ("another of the path's oneof", "POST /w/l/x", b"right=1", [("left", '"right" is given too')]),
    ("a message", "POST /w", b"subInner=x", [("subInner", "is a message: give its fields")]),
    ("not UTF-8", "POST /w", b"name=%ff", [("name", "is not UTF-8")]),
    ("all at once", "POST /w?x=1", b"i32=x&u32=y", [("i32", ""), ("u32", ""), ("x", "")]),
]


@pytest.mark.parametrize(
    ("line", "sent", "expected"), [row[1:] for row in BAD_FORMS], ids=[row[0] for row in BAD_FORMS]
)
def test_a_form_is_refused(line, sent, expected):
    found = API.refused(line, sent, FORM).violations
    assert [violation.field for violation in found] == [field for field, _ in expected]
    assert all(words in violation.description for violation, (_, words) in zip(found, expected, strict=True))


def test_the_fields_of_a_form_are_counted():
    assert len(API.call("POST /w", b"&".join([b"tags=a"] * 1000), FORM).tags) == 1000
    assert (
        "a form may have 1000 fields" in API.refused("POST /w", b"&".join([b"tags=a"] * 1001), FORM).message
    )


def test_another_charset_is_415():
    assert API.refused("POST /w", b"name=x", FORM + "; charset=latin-1").http_status == 415
    assert API.call("POST /w", b"name=x", FORM + "; charset=UTF-8").name == "x"


def test_unknown_names_of_bodies_pass_by_the_setting_of_bodies():
    api = Api(PROTO, codec=Options(ignore_unknown=True))
    assert shown(api.call("POST /w", b"x=1&name=y", FORM)) == {"name": "y"}
    assert shown(api.call("POST /w", b'{"x": 1, "name": "y"}')) == {"name": "y"}
    assert shown(api.call("POST /w", body(part("x", b"1"), part("name", b"y")), PARTS)) == {"name": "y"}
    assert api.refused("POST /w", b"subInner=1", FORM).violations[0].field == "subInner"
    assert api.refused("POST /p?x=1", b"{}").violations[0].field == "x"


FILES = """
message Doc { string title = 1; google.api.HttpBody file = 2; bytes raw = 3; repeated google.api.HttpBody more = 4;
  repeated bytes raws = 5; Doc inner = 6; repeated string tags = 7; map<string, string> labels = 8; int32 size = 9;
  oneof choice { string text = 10; bytes blob = 11; google.api.HttpBody attached = 12; Doc meta = 13; } }
message Put { string name = 1; Doc doc = 2; }
service S {
  rpc Send(Doc) returns (Doc) { option (google.api.http) = { post: "/docs" body: "*"
    additional_bindings { post: "/titles/{title}" body: "*" } }; }
  rpc Replace(Put) returns (Doc) { option (google.api.http) = { post: "/puts/{name}" body: "doc" }; }
}
"""
DOCS = Api(FILES)
GIF = b"GIF89a\r\n--b-2\r\n\x00\xff"

PARTED = [
    # rule, request, parts, message
    ("texts", "POST /docs", [part("title", b"x"), part("size", b"5")], {"title": "x", "size": 5}),
    ("repeated texts, maps, nested", "POST /docs",
     [part("tags", b"a"), part("tags", b"b"), part("labels[k]", b"v"), part("inner.title", b"y")],
     {"tags": ["a", "b"], "labels": {"k": "v"}, "inner": {"title": "y"}}),
    ("a text in UTF-8", "POST /docs", [part("title", "é".encode(), content_type="text/plain; charset=utf-8")],
     {"title": "é"}),
    ("an empty text", "POST /docs", [part("title", b"")], {}),
    ("a file for HttpBody", "POST /docs", [part("file", GIF, filename="a.gif", content_type="image/gif")],
     {"file": {"content_type": "image/gif", "data": "R0lGODlhDQotLWItMg0KAP8="}}),
    ("a file of unknown type", "POST /docs", [part("file", b"a", filename="a")],
     {"file": {"content_type": "application/octet-stream", "data": "YQ=="}}),
    ("a text for HttpBody", "POST /docs", [part("file", b"a")], {"file": {"content_type": "text/plain", "data": "YQ=="}}),
    ("an empty file", "POST /docs", [part("file", b"", filename="a", content_type="a/b")],
     {"file": {"content_type": "a/b"}}),
    ("a file for bytes", "POST /docs", [part("raw", b"YQ", filename="a")], {"raw": "WVE="}),
    ("a text for bytes is base64, as in a query", "POST /docs", [part("raw", b"YQ")], {"raw": "YQ=="}),
    ("several files", "POST /docs", [part("more", b"a", filename="a"), part("more", b"b", filename="b"),
     part("raws", b"c", filename="c")],
     {"more": [{"content_type": "application/octet-stream", "data": "YQ=="},
      {"content_type": "application/octet-stream", "data": "Yg=="}], "raws": ["Yw=="]}),
    ("a file that lies deeper", "POST /docs", [part("inner.file", b"a", filename="a", content_type="a/b")],
     {"inner": {"file": {"content_type": "a/b", "data": "YQ=="}}}),
    ("JSON for a message", "POST /docs", [part("inner", b'{"title": "x"}', content_type="application/json")],
     {"inner": {"title": "x"}}),
    ("JSON for a list", "POST /docs", [part("tags", b'["a"]', content_type="application/json")], {"tags": ["a"]}),
    ("a field", "POST /puts/n", [part("title", b"x"), part("file", b"a", filename="a", content_type="a/b")],
     {"name": "n", "doc": {"title": "x", "file": {"content_type": "a/b", "data": "YQ=="}}}),
    ("what repeats the path", "POST /titles/x", [part("title", b"x")], {"title": "x"}),
    ("no parts", "POST /docs", [], {}),
    ("other headers", "POST /docs", [part("title", b"x", extra=b"\r\nx-other: 1")], {"title": "x"}),
    ("a transfer encoding that changes nothing", "POST /docs",
     [part("title", b"x", extra=b"\r\ncontent-transfer-encoding: 8bit")], {"title": "x"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "parts", "expected"), [row[1:] for row in PARTED], ids=[row[0] for row in PARTED]
)
def test_parts(line, parts, expected):
    assert shown(DOCS.call(line, body(*parts), PARTS)) == expected


BAD_PARTS = [
    # rule, request, body, words
    ("an unknown name", "POST /docs", body(part("titel", b"x")), 'titel: t.v1.Doc has no field "titel"; did you mean'),
    ("an unknown name of a field", "POST /puts/n", body(part("x", b"x")), "doc.x: t.v1.Doc has no field"),
    ("a text that does not fit", "POST /puts/n", body(part("size", b"x")), "doc.size: expected an integer"),
    ("a text that is not UTF-8", "POST /docs", body(part("title", b"\xff")), "title: is not UTF-8 text"),
    ("a text in another charset", "POST /docs", body(part("title", b"x", content_type="text/plain; charset=latin-1")),
     'charset "latin-1" is not supported'),
    ("a text twice", "POST /docs", body(part("title", b"x"), part("title", b"y")), "title: is given more than once"),
    ("a file twice", "POST /docs", body(part("file", b"x"), part("file", b"y")), "file: is given more than once"),
    ("JSON twice", "POST /docs", body(*[part("inner", b"{}", content_type="application/json")] * 2), "inner: is given"),
    ("a file for text", "POST /docs", body(part("title", b"x", filename="a")), "title: takes no file: only fields of"),
    ("a text for a message", "POST /docs", body(part("inner", b"x")), 'inner: is a message: give its fields'),
    ("JSON that does not fit", "POST /puts/n", body(part("inner", b'{"size": "x"}', content_type="application/json")),
     "doc.inner.size: expected an integer"),
    ("malformed JSON", "POST /docs", body(part("inner", b"{", content_type="application/json")), "inner: malformed JSON"),
    ("a text and a file of one oneof", "POST /docs", body(part("text", b"x"), part("blob", b"x", filename="a")),
     'blob: "text" is given too'),
    ("two files of one oneof", "POST /docs", body(part("blob", b"x", filename="a"), part("attached", b"x")),
     'attached: "blob" is given too'),
    ("JSON and a file of one oneof", "POST /docs",
     body(part("blob", b"x", filename="a"), part("meta", b"{}", content_type="application/json")),
     'meta: "blob" is given too'),
    ("another value than the path's", "POST /titles/x", body(part("title", b"y")), "title: the body gives another value"),
    ("no last boundary", "POST /docs", part("title", b"x"), "it ends before its last boundary"),
    ("no boundary at all", "POST /docs", b"title=x", "the body is not multipart/form-data"),
    ("a part without a name", "POST /docs", b"--b-1\r\ncontent-disposition: form-data\r\n\r\nx\r\n--b-1--", "and a name"),
    ("a part without headers", "POST /docs", b"--b-1\r\n\r\nx\r\n--b-1--", "a part is without"),
    ("a part that is no form data", "POST /docs", b'--b-1\r\ncontent-disposition: file; name="a"\r\n\r\nx\r\n--b-1--',
     "a part is without"),
    ("a part encoded by itself", "POST /docs", body(part("file", b"YQ", extra=b"\r\ncontent-transfer-encoding: base64")),
     'a part is encoded as "base64"'),
    ("a header twice", "POST /docs", body(part("file", b"x", content_type="a/b", extra=b"\r\nContent-Type: c/d")),
     'a part has two headers "content-type"'),
    ("a name that is not UTF-8", "POST /docs", b'--b-1\r\ncontent-disposition: form-data; name="\xff"\r\n\r\n\r\n--b-1--',
     "the name of a part is not UTF-8"),
    ("too many parts", "POST /docs", body(*[part("tags", b"")] * 1001), "a form may have 1000 parts"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "sent", "words"), [row[1:] for row in BAD_PARTS], ids=[row[0] for row in BAD_PARTS]
)
def test_parts_are_refused(line, sent, words):
    assert words in DOCS.refused(line, sent, PARTS).message


@pytest.mark.parametrize(
    "extra", [b"\r\nx-long: " + b"y" * 5000, b"".join(b"\r\nx-%d: y" % n for n in range(1000))]
)
def test_the_headers_of_a_part_are_bounded(extra):
    DOCS.refused("POST /docs", body(part("title", b"x", extra=extra)), PARTS)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=" + "b" * 71])
def test_a_boundary_is_needed(content_type):
    assert "needs a boundary of 1 to 70" in DOCS.refused("POST /docs", body(), content_type).message


def test_an_http_body_takes_a_form_as_it_is():
    sent = body(part("a", b"b"))
    assert API.call("POST /raw", sent, PARTS).data == sent
    assert API.call("POST /raw/x", b"a=b", FORM).file.content_type == FORM


def test_nothing_sent_leaves_the_body_unset():
    assert not API.call("POST /raw/x", b"", "").HasField("file")
    assert API.call("POST /raw/x", b"", "image/png").file.content_type == "image/png"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([b"--b-1", b"--b-1\r\n", b"--b-1--", b"\r\n", b"--", b"content-disposition: form-data; ",
       b'name="title"', b'name="file"; filename="x"', b"content-type: application/json", b"\r\n\r\n", b"x", b"{}", b"\xff",
       b"\r", b":"]), max_size=14).map(b"".join) | st.binary(max_size=30))  # fmt: skip
def test_whatever_is_sent_in_parts_is_bound_or_refused(sent):
    try:
        DOCS.call("POST /docs", sent, PARTS)
    except RequestProblem as problem:
        problem.message.encode()
