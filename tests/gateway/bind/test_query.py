"""What query parameters come to, and how they are refused."""

from __future__ import annotations

import pytest

from gateway.problem import RequestProblem
from mesh.call import Code
from tests.gateway.bind.api import API, PROTO, Api, shown

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
    ("bytes with padding", "data=YQ%3D%3D", {"data": "YQ=="}),
    ("bytes with padding that is not encoded", "data=YQ==", {"data": "YQ=="}),
    ("bytes, URL alphabet with padding", "data=-_8=", {"data": "+/8="}),
    ("bytes of a wrapper, URL alphabet", "wBytes=-_8", {"w_bytes": "+/8="}),
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
    ("a field mask of every field", "mask=*", {"mask": "*"}),
    ("a field mask of every element", "mask=list.*.pageCount", {"mask": "list.*.pageCount"}),
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


def test_the_message_of_a_problem_is_its_first_violation_and_how_many_more():
    assert API.refused("GET /q?i32=x").message.startswith("i32: expected an integer")
    assert API.refused("GET /q?i32=x&u32=y&u64=z").message.endswith('got "x" (and 2 more)')


def test_a_hostile_query_is_answered_with_a_bounded_list():
    problem = API.refused("GET /q?" + "&".join(f"x{index}=1" for index in range(1000)))
    assert len(problem.violations) == 100
    assert problem.message.endswith("(and 999 more)")


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
