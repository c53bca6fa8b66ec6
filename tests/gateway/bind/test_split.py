"""Where values end, whatever the pieces they come in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bind.split import JsonSplitter
from gateway.problem import RequestProblem

VALUES = {
    "nothing": (b"", []),
    "white space": (b" \r\n\t", []),
    "one": (b'{"a": 1}', [b'{"a": 1}']),
    "lines": (b'{"a": 1}\n{"b": 2}\r\n', [b'{"a": 1}', b'{"b": 2}']),
    "one after the other": (b'{}{"a":[1,{}]}', [b"{}", b'{"a":[1,{}]}']),
    "brackets in strings": (b'{"a": "}]"}{"\\"}": 1}', [b'{"a": "}]"}', b'{"\\"}": 1}']),
    "escapes": (b'{"a": "\\\\"}{}', [b'{"a": "\\\\"}', b"{}"]),
    "scalars": (b"1\ntrue  null", [b"1", b"true", b"null"]),
    "strings": (b'"a""[b"', [b'"a"', b'"[b"']),
    "an array": (b' [{"a": 1}, {} ,[2], "x"] \n', [b'{"a": 1}', b"{}", b"[2]", b'"x"']),
    "an array of scalars": (b"[1,2 , 3]", [b"1", b"2", b"3"]),
    "an empty array": (b"[ ]", []),
}


def split(pieces: list[bytes], **options: bool) -> list[bytes]:
    splitter = JsonSplitter(100, **options)
    values = [value for piece in pieces for value in splitter.feed(piece)]
    return values + splitter.finish()


@pytest.mark.parametrize("case", VALUES.values(), ids=VALUES)
def test_values_wherever_the_body_is_cut(case):
    body, values = case
    for first in range(len(body) + 1):
        for second in range(first, len(body) + 1):
            assert split([body[:first], body[first:second], body[second:]]) == values
    assert split([bytes([byte]) for byte in body]) == values


def test_a_value_comes_with_the_piece_that_completes_it():
    splitter = JsonSplitter(100)
    assert splitter.feed(b'{"a": ') == []
    assert splitter.feed(b"1}") == [b'{"a": 1}']


REFUSED = {
    "half a value": (b'{"a": ', "the body ends within message 1"),
    "half a string": (b'{}"a', "the body ends within message 2"),
    "an array without an end": (b"[1", "the body ends within message 1"),
    "an array without an end, after an item": (b"[{}", 'the body ends within its array: there is no "]"'),
    "a comma too many": (b"[{},]", 'the body has "]" before an item, after 1 messages'),
    "no comma": (b"[{}{}]", 'the body has "{" after an item, after 1 messages'),
    "a comma first": (b"[,{}]", 'the body has "," before the first item, after 0 messages'),
    "something after the array": (b"[{}] {}", 'the body has "{" after the array, after 1 messages'),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_is_no_stream_wherever_the_body_is_cut(case):
    body, text = case
    for cut in range(len(body) + 1):
        with pytest.raises(RequestProblem) as refused:
            split([body[:cut], body[cut:]])
        assert refused.value.message == text


@pytest.mark.parametrize(
    "pieces", [[b'"' + b"x" * 200], [b'"', *[b"x" * 40] * 3], [b'"' + b"x" * 120 + b'"']]
)
def test_a_value_has_a_limit(pieces):
    with pytest.raises(RequestProblem) as refused:
        split(pieces)
    assert refused.value.http_status == 413


def test_a_stream_has_none():
    splitter = JsonSplitter(10)
    assert sum(len(splitter.feed(b'{"a": 1}\n')) for _ in range(1000)) == 1000


def test_messages_that_are_arrays_are_not_taken_apart():
    assert split([b"[1][2]"], arrays=False) == [b"[1]", b"[2]"]


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(TREES.filter(lambda tree: tree != []), max_size=5), st.data(), st.booleans())
def test_any_values_in_any_pieces(trees, data, array):
    texts = [json.dumps(tree, ensure_ascii=False) for tree in trees]
    if not array and texts and texts[0].startswith("["):
        texts.insert(0, "{}")
        trees = [{}, *trees]
    body = (f"[{','.join(texts)}]" if array else "\n".join(texts)).encode("utf-8", "surrogatepass")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    splitter = JsonSplitter(1_000_000)
    values = [value for piece in pieces for value in splitter.feed(piece)] + splitter.finish()
    assert [json.loads(value.decode("utf-8", "surrogatepass")) for value in values] == trees
