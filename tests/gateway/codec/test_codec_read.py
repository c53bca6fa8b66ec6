"""What JSON the codec accepts, and the message it makes of it."""

import math

import pytest

from tests.gateway.codec.reading import THREE, codec, violations
from tests.gateway.codec.schema import descriptor, message


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("Scalars", '{"anInt32": 1.0}', "an_int32", 1),
        ("Scalars", '{"anInt32": 1e3}', "an_int32", 1000),
        ("Scalars", '{"anInt32": "123"}', "an_int32", 123),
        ("Scalars", '{"anInt32": "-1.0"}', "an_int32", -1),
        ("Scalars", '{"anInt64": "9223372036854775807"}', "an_int64", 2**63 - 1),
        ("Scalars", '{"anInt64": -9223372036854775808}', "an_int64", -(2**63)),
        ("Scalars", '{"anUint64": 18446744073709551615}', "an_uint64", 2**64 - 1),
        ("Scalars", '{"aDouble": "-Infinity"}', "a_double", -math.inf),
        ("Scalars", '{"aDouble": "1.5"}', "a_double", 1.5),
        ("Scalars", '{"aFloat": 3.4028235e38}', "a_float", float.fromhex("0x1.fffffep+127")),
        ("Scalars", '{"aBytes": "-_8="}', "a_bytes", b"\xfb\xff"),
        ("Scalars", '{"aBytes": "+/8"}', "a_bytes", b"\xfb\xff"),
        ("Scalars", '{"aColour": "CRIMSON"}', "a_colour", 1),
        ("Scalars", '{"aColour": 5}', "a_colour", 5),
        ("Scalars", '{"aColour": 77}', "a_colour", 77),
        ("Scalars", '{"an_int32": 4}', "an_int32", 4),
        ("Scalars", '{"aString": null}', "a_string", ""),
        ("Names", '{"@custom\\"\'{}": "x"}', "custom", "x"),
        ("Names", '{"from": "x"}', "from", "x"),
    ],
)
def test_a_value_is_read(name, text, field, value):
    assert value == getattr(codec(THREE + name).decode(text.encode()), field)


def test_unknown_fields_and_enum_names_may_be_ignored():
    lenient = codec(THREE + "Lists", ignore_unknown=True)
    read = lenient.decode(b'{"nope": 1, "colours": ["RED", "MAUVE", 5], "trees": [{"nope": {}}]}')
    assert message(THREE + "Lists", colours=[1, 5], trees=[{}]) == read
    assert 0 == codec(THREE + "Scalars", ignore_unknown=True).decode(b'{"aColour": "MAUVE"}').a_colour
    read = codec(THREE + "Maps", ignore_unknown=True).decode(b'{"byBool": {"true": "MAUVE", "false": "RED"}}')
    assert {False: 1} == dict(read.by_bool)


def test_extensions_go_by_their_full_name():
    text = b'{"id":"x","[codec.two.nickname]":"y","[codec.two.extra]":{"remark":"z"}}'
    old = codec("codec.two.Old")
    assert text == old.encode(old.decode(text))
    assert [
        ("[codec.two.extra].remark", "expected a string, got 1"),
        ('["[codec.two.nope]"]', "no such field in codec.two.Old"),
    ] == violations("codec.two.Old", '{"[codec.two.extra]": {"remark": 1}, "[codec.two.nope]": 1}')


def test_codecs_of_one_schema_share_their_functions():
    lists = codec(THREE + "Lists")
    tree = lists.for_message(descriptor(THREE + "Tree"))
    assert "Codec(codec.three.Tree" in repr(tree)
    assert b'{"name":"x"}' == tree.encode(tree.decode(b'{"name":"x"}'))
