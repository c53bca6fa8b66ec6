"""What the codec says of a document that does not fit, and where."""

import pytest

from gateway.codec import check_required
from gateway.problem import RequestProblem
from tests.gateway.codec.reading import THREE, codec, violations


@pytest.mark.parametrize(
    ("name", "text", "field", "description"),
    [
        ("Scalars", "[]", "", "expected an object, got an array"),
        ("Scalars", '{"anInt32": 3000000000}', "anInt32",
         "expected an integer from -2147483648 to 2147483647, got 3000000000"),
        ("Scalars", '{"anInt32": "1 "}', "anInt32",
         'expected an integer from -2147483648 to 2147483647, got "1 "'),
        ("Scalars", '{"anUint32": -1}', "anUint32", "expected an integer from 0 to 4294967295, got -1"),
        ("Scalars", '{"anInt32": 1.5}', "anInt32",
         "expected an integer from -2147483648 to 2147483647, got 1.5"),
        ("Scalars", '{"aBool": "true"}', "aBool", 'expected true or false, got "true"'),
        ("Scalars", '{"aString": 5}', "aString", "expected a string, got 5"),
        ("Scalars", '{"aString": {"a": 1}}', "aString", "expected a string, got an object"),
        ("Scalars", '{"aBytes": "*"}', "aBytes", 'expected base64 text, got "*"'),
        ("Scalars", '{"aFloat": 1e39}', "aFloat", "expected a 32-bit number, got 1e+39"),
        ("Scalars", '{"aColour": "GREN"}', "aColour",
         'unknown value "GREN" of enum codec.three.Colour; did you mean "GREEN"?'),
        ("Scalars", '{"aColour": {}}', "aColour",
         "expected a value of enum codec.three.Colour (COLOUR_UNSPECIFIED, RED, CRIMSON, GREEN, NEGATIVE), got an object"),
        ("Scalars", '{"anInt23": 1}', "anInt23",
         'no such field in codec.three.Scalars; did you mean "anInt32"?'),
        ("Scalars", '{"A_STRING": ""}', "A_STRING",
         'no such field in codec.three.Scalars; did you mean "aString"?'),
        ("Scalars", '{"zzz zzz": 1}', '["zzz zzz"]', "no such field in codec.three.Scalars"),
        ("Scalars", '{"anInt32": 1, "an_int32": 1}', "anInt32", 'given twice, as "anInt32" and "an_int32"'),
        ("Presence", '{"number": 1, "text": "x"}', "text", 'only one field of "choice" may be set, and "number" is'),
        ("Lists", '{"int32s": [1, null, 2]}', "int32s[1]",
         "expected an integer from -2147483648 to 2147483647, got null"),
        ("Lists", '{"trees": [{}, null]}', "trees[1]", "expected an object, got null"),
        ("Lists", '{"strings": "x"}', "strings", 'expected an array, each element a string, got "x"'),
        ("Maps", '{"byInt32": {"x": 1}}', 'byInt32["x"]',
         'expected a key that is an integer from -2147483648 to 2147483647, got "x"'),
        ("Maps", '{"byBool": {"1": "RED"}}', 'byBool["1"]', 'expected a key that is "true" or "false", got "1"'),
        ("Maps", '{"byString": {"a.b": 1}}', 'byString["a.b"]', "expected a string, got 1"),
        ("Maps", '{"trees": {"a.b": {"rightHand": {"name": 1}}}}', 'trees["a.b"].rightHand.name',
         "expected a string, got 1"),
        ("Maps", '{"trees": []}', "trees", "expected an object, got an array"),
        ("WellKnown", '{"at": "yesterday"}', "at",
         'expected an RFC 3339 time such as "2026-01-31T12:30:00Z", got "yesterday"'),
        ("WellKnown", '{"at": "0001-01-01T00:00:00+01:00"}', "at",
         'expected a time from year 1 to year 9999 in UTC, got "0001-01-01T00:00:00+01:00"'),
        ("WellKnown", '{"wait": "5"}', "wait", 'expected a duration in seconds such as "1.5s", got "5"'),
        ("WellKnown", '{"wait": "315576000001s"}', "wait",
         'expected a duration of at most 315576000000 seconds, got "315576000001s"'),
        ("WellKnown", '{"mask": "a_b"}', "mask", 'expected field paths such as "userName,address.city", got "a_b"'),
        ("WellKnown", '{"object": {"a": {"b c": [1, {}]}, "x": 1}, "list": 1}', "list", "expected an array, got 1"),
        ("WellKnown", '{"aBool": "true"}', "aBool", 'expected true or false, got "true"'),
        ("WellKnown", '{"any": {"value": 1}}', 'any["@type"]',
         "expected the type of the message, such as a type URL, got null"),
        ("WellKnown", '{"any": {"@type": "x/codec.Nope"}}', 'any["@type"]', 'unknown message type "x/codec.Nope"'),
        ("WellKnown", '{"any": {"@type": "x/codec.three.Tree", "name": 1}}', "any.name", "expected a string, got 1"),
        ("WellKnown", '{"any": {"@type": "x/google.protobuf.Duration", "value": "s"}}', "any.value",
         'expected a duration in seconds such as "1.5s", got "s"'),
        ("WellKnown", '{"any": {"@type": "x/google.protobuf.Duration"}}', "any",
         'expected "@type" and "value" alone for google.protobuf.Duration'),
        ("WellKnown", '{"any": {"@type": "x/codec.two.Old"}}', "any", "required fields are missing: id"),
    ],
)  # fmt: skip
def test_a_fault_is_named(name, text, field, description):
    assert [(field, description)] == violations(THREE + name, text)


def test_every_fault_of_a_document_is_reported():
    text = '{"trees": [{"name": 1}, {}, {"nmae": "x", "others": [{}, {"left": 3}]}], "int32s": ["a", 1, 1.5]}'
    assert [
        ("int32s[0]", 'expected an integer from -2147483648 to 2147483647, got "a"'),
        ("int32s[2]", "expected an integer from -2147483648 to 2147483647, got 1.5"),
        ("trees[0].name", "expected a string, got 1"),
        ("trees[2].others[1].left", "expected an object, got 3"),
        ("trees[2].nmae", 'no such field in codec.three.Tree; did you mean "name"?'),
    ] == violations(THREE + "Lists", text)


def test_the_message_names_the_first_fault_and_counts_the_others():
    with pytest.raises(RequestProblem) as caught:
        codec(THREE + "Scalars").decode(b'{"aString": 1, "aBool": 1}')
    assert "aBool: expected true or false, got 1 (and 1 more)" == caught.value.message


def test_long_values_are_cut():
    [(_, description)] = violations(THREE + "Scalars", '{"anInt32": "' + "9" * 10_000 + '"}')
    assert description.endswith('got "' + "9" * 57 + '..."')


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b'{"a": 1,\n "b" 2}', "line 2, column 6"),
        (b"", "line 1, column 1"),
        (b'{"aString": "\xff"}', "line 1"),
        (b'{"aString": "\\ud800"}', "line 1"),
        (b'{"aDouble": NaN}', "line 1"),
        (b"[" * 5000, "line 1"),
    ],
)
def test_malformed_json_is_one_violation_with_its_place(data, place):
    [(field, description)] = violations(THREE + "Scalars", data)
    assert not field
    assert description.startswith(f"malformed JSON at {place}")


@pytest.mark.parametrize("text", ["\ud800", "a\udfff"])
def test_an_unpaired_surrogate_is_refused(text):
    for name, value in {
        "Scalars": {"aString": text},
        "Lists": {"strings": ["ok", text]},
        "Maps": {"byString": {text: "x"}},
        "WellKnown": {"object": {text: 1}},
        "Presence": {"text": text},
    }.items():
        with pytest.raises(RequestProblem):
            codec(THREE + name).decode_value(value)


def test_the_path_of_a_value_from_elsewhere_is_prefixed():
    with pytest.raises(RequestProblem) as caught:
        codec(THREE + "Tree").decode_value({"left": {"name": 1}}, "body.tree")
    assert "body.tree.left.name" == caught.value.violations[0].field


def test_paths_and_hints_use_the_names_that_are_printed():
    with pytest.raises(RequestProblem) as caught:
        codec(THREE + "Scalars", proto_names=True).decode(b'{"aBool": 1, "a_strin": 1}')
    assert ["a_bool", "a_strin"] == [violation.field for violation in caught.value.violations]
    assert 'did you mean "a_string"' in caught.value.violations[1].description


def test_required_fields_are_checked_when_the_message_is_complete():
    """A route may bind a required field from the path, so reading a body does not ask for it."""
    old = codec("codec.two.Old")
    read = old.decode(b'{"inner": {"count": 1}, "line": [{}]}')
    for incomplete in (lambda: check_required(read), lambda: old.decode_wire(b'{"inner": {"count": 1}}')):
        with pytest.raises(RequestProblem) as caught:
            incomplete()
        assert {("id", "required field is missing"), ("inner.id", "required field is missing")} == set(
            map(tuple, caught.value.violations)
        )


def test_missing_required_fields_are_named_in_json_names():
    read = codec("codec.two.Old").decode(b'{"id": "x", "detail": {}}')
    with pytest.raises(RequestProblem) as caught:
        check_required(read)
    assert ["detail.note"] == [violation.field for violation in caught.value.violations]


def test_closed_enums_refuse_numbers_they_do_not_declare():
    [(field, _)] = violations("codec.two.Old", '{"size": 3}')
    assert "size" == field
