"""The path template grammar of google/api/http.proto, rule by rule."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.route.template import Kind, Segment, TemplateError, Variable, decode, read

ONE, REST = Segment(Kind.ONE), Segment(Kind.REST)


def text(word):
    return Segment(Kind.LITERAL, word)


GOOD = [
    # rule, source, segments, variables, verb
    ("a literal", "/v1", [text("v1")], [], ""),
    ("several literals", "/v1/shelves", [text("v1"), text("shelves")], [], ""),
    ("a bare wildcard binds nothing", "/v1/*", [text("v1"), ONE], [], ""),
    ("a bare double wildcard binds nothing", "/v1/**", [text("v1"), REST], [], ""),
    ("{name} is {name=*}", "/{name}", [ONE], [Variable(("name",), 0, 1, multi=False)], ""),
    ("{name=*} is one segment", "/{name=*}", [ONE], [Variable(("name",), 0, 1, multi=False)], ""),
    ("{name=**} is many", "/{name=**}", [REST], [Variable(("name",), 0, None, multi=True)], ""),
    ("{name=word} is one segment", "/{name=me}", [text("me")], [Variable(("name",), 0, 1, multi=False)], ""),
    (
        "a variable of several segments",
        "/v1/{name=shelves/*/books/*}",
        [text("v1"), text("shelves"), ONE, text("books"), ONE],
        [Variable(("name",), 1, 5, multi=True)],
        "",
    ),
    (
        "a variable that ends in **",
        "/{a.b.c=shelves/*/books/**}",
        [text("shelves"), ONE, text("books"), REST],
        [Variable(("a", "b", "c"), 0, None, multi=True)],
        "",
    ),
    ("a verb after a literal", "/v1/shelves:merge", [text("v1"), text("shelves")], [], "merge"),
    ("a verb after a variable", "/{name}:cancel", [ONE], [Variable(("name",), 0, 1, multi=False)], "cancel"),
    ("a verb after **", "/**:watch", [REST], [], "watch"),
    (
        "two variables",
        "/{a}/x/{b_2}",
        [ONE, text("x"), ONE],
        [Variable(("a",), 0, 1, multi=False), Variable(("b_2",), 2, 3, multi=False)],
        "",
    ),
    ("** before the end", "/v1/**/x", [text("v1"), REST, text("x")], [], ""),
    (
        "a variable of ** before the end",
        "/v1/{a=**}/x",
        [text("v1"), REST, text("x")],
        [Variable(("a",), 1, 2, multi=True)],
        "",
    ),
    (
        "** inside a variable before its end",
        "/v1/{a=**/x}:run",
        [text("v1"), REST, text("x")],
        [Variable(("a",), 1, 3, multi=True)],
        "run",
    ),
    (
        "variables on both sides of **, as in Firestore",
        "/{a}/{b=c/**}/{d}",
        [ONE, text("c"), REST, ONE],
        [
            Variable(("a",), 0, 1, multi=False),
            Variable(("b",), 1, 3, multi=True),
            Variable(("d",), 3, 4, multi=False),
        ],
        "",
    ),
    ("a literal is compared decoded", "/a%2Fb%20c", [text("a/b c")], [], ""),
    ("a literal may hold sub-delims", "/a=b,c;d@e$f", [text("a=b,c;d@e$f")], [], ""),
    ("the root has no segments", "/", [], [], ""),
]


@pytest.mark.parametrize(
    ("source", "segments", "variables", "verb"), [row[1:] for row in GOOD], ids=[row[0] for row in GOOD]
)
def test_the_grammar_accepts(source, segments, variables, verb):
    template = read(source)
    assert (list(template.segments), list(template.variables), template.verb) == (segments, variables, verb)
    assert str(template) == source


BAD = [
    # rule, source, column, words
    ("empty", "", 1, "starts with '/'"),
    ("no leading slash", "v1/x", 1, "starts with '/'"),
    ("empty segment", "/v1//x", 5, "a segment must not be empty"),
    ("trailing slash", "/v1/", 5, "a segment must not be empty"),
    ("two **", "/v1/**/x/**", 10, "'**' must not stand twice"),
    ("two ** in a variable", "/v1/{a=**/**}", 11, "'**' must not stand twice"),
    ("two ** in variables", "/v1/{a=**}/{b=**}", 15, "'**' must not stand twice"),
    ("nested variable", "/{a={b}}", 5, "must not contain another variable"),
    ("unclosed variable", "/{a", 4, "expected '}'"),
    ("unclosed variable with a template", "/{a=x/*", 8, "expected '}'"),
    ("no field name", "/{}", 3, "expected a field name"),
    ("bad field name", "/{1a}", 3, "expected a field name"),
    ("dangling dot", "/{a.}", 5, "expected a field name"),
    ("empty variable template", "/{a=}", 5, "a segment must not be empty"),
    ("verb inside a variable", "/{a=x:y}", 6, "expected '}'"),
    ("empty verb", "/v1/x:", 7, "a verb must not be empty"),
    ("two verbs", "/v1/x:y:z", 8, "unexpected ':'"),
    ("verb before the end", "/v1:x/y", 6, "unexpected '/'"),
    ("wildcard within a segment", "/v1/a*", 6, "must be a whole segment"),
    ("text after a wildcard", "/v1/*a", 6, "must be a whole segment"),
    ("text after a variable", "/v1/{a}b", 8, "must be a whole segment"),
    ("three stars", "/***", 4, "must be a whole segment"),
    ("query", "/v1/a?b", 6, "'?' must be percent-encoded"),
    ("fragment", "/v1/#a", 5, "'#' must be percent-encoded"),
    ("malformed percent", "/v1/a%zz", 6, "two hexadecimal digits"),
    ("the same variable twice", "/{a}/{a}", 6, "variable 'a' is bound twice"),
    ("a variable within another", "/{a}/{a.b}", 6, "variable 'a.b' overlaps 'a'"),
    ("a variable around another", "/{a.b}/{a}", 8, "variable 'a' overlaps 'a.b'"),
    ("a segment that clients resolve", "/v1/../x", 5, "'..' as a segment is resolved by clients"),
    ("the same, encoded", "/v1/{a=x/%2E}", 10, "'.' as a segment is resolved by clients"),
]


@pytest.mark.parametrize(("source", "column", "words"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_an_error_carries_its_column(source, column, words):
    with pytest.raises(TemplateError) as caught:
        read(source)
    assert caught.value.column == column
    assert words in str(caught.value)
    assert str(caught.value).startswith(f'"{source}" column {column}: ')


DECODED = [
    ("a single segment decodes everything", "a%2Fb%20c", False, "a/b c"),
    ("several segments leave %2F", "a%2Fb/c%20d", True, "a%2Fb/c d"),
    ("several segments leave %2f as it is spelled", "a%2fb", True, "a%2fb"),
    ("reserved characters other than the slash are decoded", "a%3Fb%23c", True, "a?b#c"),
    ("a plus is a plus", "a+b", False, "a+b"),
    ("UTF-8", "caf%C3%A9", False, "café"),
    ("UTF-8 sent raw", "café", False, "café"),
    ("what is decoded is not decoded again", "%252F", True, "%2F"),
]


@pytest.mark.parametrize(
    ("raw", "multi", "expected"), [row[1:] for row in DECODED], ids=[row[0] for row in DECODED]
)
def test_captures_are_decoded(raw, multi, expected):
    assert decode(raw, multi=multi) == expected


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("%zz", "two hexadecimal digits"),
        ("a%2", "two hexadecimal digits"),
        ("%ff", "not UTF-8"),
        ("\udcff", "not UTF-8"),
    ],
)
@pytest.mark.parametrize("multi", [False, True])
def test_what_cannot_be_decoded_is_refused(raw, words, multi):
    with pytest.raises(ValueError, match=words):
        decode(raw, multi=multi)


@given(st.text(st.characters(codec="utf-8")))
def test_decoding_reverses_what_clients_encode(value):
    assert decode(quote(value, safe="-_.~"), multi=False) == value
