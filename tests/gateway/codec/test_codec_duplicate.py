"""A name given twice in one JSON object is refused, wherever it is and however it is spelled."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codec.duplicate import find_duplicates
from gateway.codec.json import parse
from gateway.problem import VIOLATIONS_SHOWN, RequestProblem
from tests.gateway.codec.oracle import examples
from tests.gateway.codec.reading import THREE, codec, violations


@pytest.mark.parametrize(
    ("name", "text", "paths"),
    [
        ("Tree", '{"name": "a", "name": "b"}', ["name"]),
        ("Tree", '{"name": "a", "name": "a"}', ["name"]),
        ("Tree", '{"name": "a", "n\\u0061me": "b"}', ["name"]),
        ("Tree", '{"name": "a", "name": "b", "name": "c"}', ["name"]),
        ("Tree", '{"name": null, "name": "b"}', ["name"]),
        ("Tree", '{"left": {}, "name": "x", "left": {}}', ["left"]),
        ("Tree", '{"left": {"name": "", "name": ""}, "others": [{}, {"left": {}, "left": {}}]}',
         ["left.name", "others[1].left"]),
        ("Tree", '{"named": {"a b": {}, "a b": {}}}', ['named["a b"]']),
        # What is lost has a colon of its own, or the value that is kept has one that the document spells as an escape.
        ("Tree", '{"name": ":", "name": ""}', ["name"]),
        ("Tree", '{"name": "x", "name": "\\u003a"}', ["name"]),
        ("Tree", '{"name": "x", "name": "\\u003A"}', ["name"]),
        ("Tree", '{"left": {"name": "\\u003a", "name": "x"}}', ["left.name"]),
        # The quotes and brackets of text are not those of the document.
        ("Tree", '{"left": {"name": "\\"]}:{[,\\\\", "name": "x"}}', ["left.name"]),
        ("Tree", '{"others": [{"name": "[,{"}, {"name": "x", "name": "y"}]}', ["others[1].name"]),
        ("WellKnown", '{"object": {"a": [1, [2, {"b": 1, "b": 2}]]}}', ["object.a[1][1].b"]),
        ("WellKnown", '{"any": {"@type": "x/a", "@type": "x/b"}}', ['any["@type"]']),
        ("WellKnown", '[{"a": 1, "a": 2}]', ["[0].a"]),
    ],
)  # fmt: skip
def test_a_name_given_twice_is_a_fault_where_it_is(name, text, paths):
    assert [(path, "given twice") for path in paths] == violations(THREE + name, text)


@pytest.mark.parametrize(
    ("text", "path", "description"),
    [
        ('{"byInt32": {"1": 1, "01": 2}}', 'byInt32["1"]', 'given twice, as "1" and "01"'),
        ('{"byUint64": {"1e2": "", "100": ""}}', 'byUint64["1e2"]', 'given twice, as "1e2" and "100"'),
        ('{"times": {"7": "1970-01-01T00:00:00Z", "+7": "1970-01-01T00:00:01Z"}}', 'times["7"]',
         'given twice, as "7" and "+7"'),
        ('{"byInt32": {"1": 1}, "by_int32": null}', "byInt32", 'given twice, as "byInt32" and "by_int32"'),
    ],
)  # fmt: skip
def test_one_thing_in_two_spellings_is_a_fault(text, path, description):
    assert [(path, description)] == violations(THREE + "Maps", text)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "a:b:c"}',
        '{"name": "\\u003a"}',
        '{"name": ":\\u003A\\":"}',
        '{"left": {"name": ":"}, "others": [{"name": "x"}, {"name": "x"}]}',
        '{"name": "name", "left": {"name": "name"}}',
    ],
)
def test_equal_names_in_different_objects_are_none(text):
    tree = codec(THREE + "Tree")
    assert json.loads(text) == json.loads(tree.encode(tree.decode(text.encode())))


def test_a_document_too_deep_to_print_is_searched_all_the_same():
    nested = b"[" * 900 + b'{"a": 1, "a": 2}' + b"]" * 900
    with pytest.raises(RequestProblem) as caught:
        parse(b'{"x": ' + nested + b"}", "body")
    [violation] = caught.value.violations
    assert "body.x" + "[0]" * 900 + ".a" == violation.field


def test_what_is_ignored_as_unknown_may_not_be_ambiguous_either():
    assert [("nope.a", "given twice")] == violations(
        THREE + "Tree", '{"nope": {"a": 1, "a": 2}}', ignore_unknown=True
    )


def test_a_flood_of_names_given_twice_is_cut():
    document = b"{" + b",".join(b'"k%d":1,"k%d":1' % (index, index) for index in range(2000)) + b"}"
    with pytest.raises(RequestProblem, match=r"\(and at least 100 more\)") as caught:
        parse(document)
    assert VIOLATIONS_SHOWN == len(caught.value.violations)


NAMES = st.sampled_from(["a", "b", ":", "a:", '"', "\\", "é", "{"])
TREES = st.recursive(
    st.none() | st.integers(0, 1) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(NAMES, inner), max_size=3).map(tuple),
    max_leaves=12,
)


def written(draw, node):
    """Print a document in which a tuple of pairs is an object, each text spelled one way or another."""
    if isinstance(node, tuple):
        members = (f"{written(draw, name)}:{written(draw, value)}" for name, value in node)
        return "{" + ",".join(members) + "}"
    if isinstance(node, list):
        return "[" + ",".join(written(draw, element) for element in node) + "]"
    if isinstance(node, str) and draw(st.booleans()):
        return '"' + "".join(f"\\u{ord(character):04x}" for character in node) + '"'
    return json.dumps(node)


def refuse_twice(pairs):
    if len(dict(pairs)) < len(pairs):
        raise ValueError("twice")
    return dict(pairs)


@examples(300)
@given(st.data())
def test_duplicates_are_found_exactly_where_a_parser_that_keeps_pairs_finds_them(data):
    text = written(data.draw, data.draw(TREES))
    try:
        json.loads(text, object_pairs_hook=refuse_twice)
        expected = False
    except ValueError:
        expected = True
    assert expected == (find_duplicates(text.encode(), json.loads(text)) is not None), text
