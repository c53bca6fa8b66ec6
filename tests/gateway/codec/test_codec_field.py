"""One field of a message, read from JSON and printed on its own."""

import pytest

from gateway.problem import RequestProblem
from tests.gateway.codec.reading import THREE, codec
from tests.gateway.codec.schema import descriptor, message


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("an_int64", "5", {"an_int64": 5}),
        ("a_bool", True, {"a_bool": True}),
        ("tree", {"name": "x"}, {"tree": {"name": "x"}}),
        ("wait", "1s", {"wait": {"seconds": 1}}),
        ("an_int64", None, {}),
    ],
)
def test_one_field_is_set_from_json(field, value, expected):
    target = message(THREE + "Presence", an_int64=9)
    presence = codec(THREE + "Presence")
    presence.set_field(target, descriptor(THREE + "Presence").fields_by_name[field], value, "q")
    kept = {} if field == "an_int64" else {"an_int64": 9}
    assert message(THREE + "Presence", **(kept | expected)) == target


def test_a_repeated_field_is_replaced():
    target = message(THREE + "Lists", int32s=[1, 2])
    codec(THREE + "Lists").set_field(target, descriptor(THREE + "Lists").fields_by_name["int32s"], [3], "q")
    assert message(THREE + "Lists", int32s=[3]) == target


def test_a_fault_in_one_field_has_the_given_path():
    target = message(THREE + "Lists")
    fields = descriptor(THREE + "Lists").fields_by_name
    for name, value, path in (
        ("trees", [{"left": {"name": 1}}], "body[0].left.name"),
        ("int32s", [1, "x"], "body[1]"),
        ("int32s", 1, "body"),
    ):
        with pytest.raises(RequestProblem) as caught:
            codec(THREE + "Scalars").set_field(target, fields[name], value, "body")
        assert [path] == [violation.field for violation in caught.value.violations]


@pytest.mark.parametrize(
    ("name", "field", "fields", "expected"),
    [
        ("Tree", "name", {"name": "x"}, b'"x"'),
        ("Tree", "left", {"left": {"name": "x"}}, b'{"name":"x"}'),
        ("Tree", "left", {}, b"null"),
        ("Tree", "others", {"others": [{}]}, b"[{}]"),
        ("Tree", "others", {}, b"[]"),
        ("Scalars", "an_int64", {}, b'"0"'),
        ("Presence", "a_string", {}, b'""'),
        ("Presence", "number", {"number": 4}, b'"4"'),
        ("WellKnown", "at", {"at": {}}, b'"1970-01-01T00:00:00Z"'),
    ],
)
def test_one_field_is_printed(name, field, fields, expected):
    source = codec(THREE + name)
    assert expected == source.encode_field(
        message(THREE + name, **fields), descriptor(THREE + name).fields_by_name[field]
    )
