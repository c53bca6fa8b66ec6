"""What the codec accepts, prints, and says of input that does not fit."""

import math

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.codec import Codec, Options, check_required
from gateway.codec.decode import Decoders
from gateway.codec.encode import Encoders
from gateway.codec.source import Source
from gateway.problem import VIOLATIONS_SHOWN, RequestProblem
from mesh.call import Code
from tests.gateway.codec.schema import MESSAGES, descriptor, message

THREE = "codec.three."


def codec(name, **options):
    return Codec(descriptor(name), options=Options(**options))


def violations(name, text, **options):
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(RequestProblem) as caught:
        codec(name, **options).decode(data)
    assert caught.value.code == Code.INVALID_ARGUMENT
    return [tuple(violation) for violation in caught.value.violations]


def nested(depth):
    return '{"left":' * (depth - 1) + "{}" + "}" * (depth - 1)


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


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Lists", '{"int32s": [' + ",".join(['"x"'] * 5000) + "]}"),
        ("Lists", '{"trees": [' + ",".join(['{"a": 1, "b": 1}'] * 5000) + "]}"),
        ("Maps", '{"byInt32": {' + ",".join(f'"k{index}": 1' for index in range(5000)) + "}}"),
        ("Maps", '{"byString": {' + ",".join(f'"k{index}": 1' for index in range(5000)) + "}}"),
        ("Maps", '{"trees": {' + ",".join(f'"k{index}": 1' for index in range(5000)) + "}}"),
        ("Maps", '{"times": {' + ",".join(f'"k{index}": 1' for index in range(5000)) + "}}"),
        ("Scalars", "{" + ",".join(f'"k{index}": 1' for index in range(5000)) + "}"),
    ],
)
def test_a_flood_of_faults_is_cut(name, text):
    """Neither the answer nor the time it takes may grow with what a hostile client sends."""
    with pytest.raises(RequestProblem, match=r"\(and at least 100 more\)") as caught:
        codec(THREE + name).decode(text.encode())
    assert VIOLATIONS_SHOWN == len(caught.value.violations)


def test_a_flood_inside_dynamic_values_is_cut():
    surrogates = {f"{index}\ud800": 1 for index in range(5000)}
    for value in (
        {"object": surrogates},
        {"list": ["\ud800"] * 5000},
        {"object": {str(i): "\ud800" for i in range(5000)}},
    ):
        with pytest.raises(RequestProblem, match=r"\(and at least 100 more\)"):
            codec(THREE + "WellKnown").decode_value(value)


@pytest.mark.parametrize("name", [field.name for field in descriptor(THREE + "WellKnown").fields])
def test_no_message_escapes_the_depth_limit(name):
    field = descriptor(THREE + "WellKnown").fields_by_name[name]
    if field.message_type is None:
        return
    value = message(THREE + "WellKnown")
    if field.is_repeated:
        getattr(value, name).add()
    else:
        getattr(value, name).SetInParent()
    flat, deep = codec(THREE + "WellKnown", depth=1), codec(THREE + "WellKnown")
    with pytest.raises(RequestProblem, match="nested too deeply"):
        flat.encode(value)
    with pytest.raises(RequestProblem, match="nested too deeply"):
        flat.decode(deep.encode(value))


def test_what_keeps_state_says_so():
    tree = codec(THREE + "Tree")
    tree.encode(tree.decode(b"{}"))
    assert "Codec(codec.three.Tree, Options(proto_names=False" in repr(tree)
    assert repr(Decoders(Options())).startswith("Decoders(0 message types")
    assert repr(Encoders(Options())).startswith("Encoders(0 message types")
    assert "def function(v):" == repr(Source("v"))


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


def test_unknown_fields_and_enum_names_may_be_ignored():
    lenient = codec(THREE + "Lists", ignore_unknown=True)
    read = lenient.decode(b'{"nope": 1, "colours": ["RED", "MAUVE", 5], "trees": [{"nope": {}}]}')
    assert message(THREE + "Lists", colours=[1, 5], trees=[{}]) == read
    assert 0 == codec(THREE + "Scalars", ignore_unknown=True).decode(b'{"aColour": "MAUVE"}').a_colour
    read = codec(THREE + "Maps", ignore_unknown=True).decode(b'{"byBool": {"true": "MAUVE", "false": "RED"}}')
    assert {False: 1} == dict(read.by_bool)


@pytest.mark.parametrize("depth", [1, 7, 100])
def test_the_depth_limit_holds_both_ways(depth):
    shallow = codec(THREE + "Tree", depth=depth)
    assert nested(depth) == shallow.encode(shallow.decode(nested(depth).encode())).decode()
    assert nested(depth) == shallow.encode_wire(shallow.decode_wire(nested(depth).encode())).decode()
    deep = nested(depth + 1).encode()
    [(path, description)] = violations(THREE + "Tree", deep, depth=depth)
    assert (".".join(["left"] * depth), "nested too deeply") == (path, description)
    if depth < 100:
        with pytest.raises(RequestProblem) as caught:
            shallow.encode(codec(THREE + "Tree").decode(deep))
        assert [(path, description)] == [tuple(violation) for violation in caught.value.violations]
        assert Code.INTERNAL == caught.value.code


def test_dynamic_values_count_towards_the_depth():
    deep = '{"value": ' + "[" * 60 + "]" * 60 + "}"
    [(path, description)] = violations(THREE + "WellKnown", deep)
    assert "nested too deeply" == description
    assert path.startswith("value[0][0]")


def test_an_any_in_an_any_counts_towards_the_depth():
    text = "{}"
    for _ in range(120):
        text = f'{{"@type": "x/google.protobuf.Any", "value": {text}}}'
    [(path, description)] = violations(THREE + "WellKnown", f'{{"any": {text}}}')
    assert "nested too deeply" == description
    assert path.startswith("any.value.value")


@pytest.mark.parametrize("depth", [0, 101])
def test_a_depth_that_cannot_be_kept_is_no_option(depth):
    with pytest.raises(ValueError, match="depth: expected 1 to 100"):
        Options(depth=depth)


@pytest.mark.parametrize(
    ("fields", "path", "description"),
    [
        ({"at": {"seconds": 2**60}}, "at", f"timestamp out of range: {2**60} seconds, 0 nanos"),
        ({"times": [{}, {"nanos": -1}]}, "times[1]", "timestamp out of range: 0 seconds, -1 nanos"),
        ({"wait": {"seconds": 1, "nanos": -1}}, "wait", "duration out of range: 1 seconds, -1 nanos"),
        ({"mask": {"paths": ["aB"]}}, "mask", "field mask path 'aB' has no lowerCamelCase form"),
        ({"value": {"number_value": math.nan}}, "value", "number nan has no form inside a google.protobuf.Value"),
        ({"any": {"type_url": "x/no.Such"}}, 'any["@type"]', 'unknown message type "x/no.Such"'),
        ({"any": {"value": b"x"}}, 'any["@type"]', 'unknown message type ""'),
        ({"anys": [{"type_url": "x/codec.three.Tree", "value": b"\xff"}]}, "anys[0].value",
         "content is not a valid codec.three.Tree"),
    ],
)  # fmt: skip
def test_a_response_without_a_json_form_is_named(fields, path, description):
    with pytest.raises(RequestProblem) as caught:
        codec(THREE + "WellKnown").encode(message(THREE + "WellKnown", **fields))
    assert Code.INTERNAL == caught.value.code
    assert [(path, description)] == [tuple(violation) for violation in caught.value.violations]
    assert f"the response cannot be written as JSON: {path}: {description}" == caught.value.message


def test_a_fault_inside_an_any_is_located():
    inner = message(THREE + "WellKnown", times=[{}, {"nanos": -1}])
    outer = message(THREE + "WellKnown")
    outer.any.Pack(inner)
    with pytest.raises(RequestProblem) as caught:
        codec(THREE + "WellKnown").encode(outer)
    assert "any.times[1]" == caught.value.violations[0].field


def test_a_fault_in_a_map_is_located():
    value = message(THREE + "Maps")
    value.times[7].nanos = -1
    with pytest.raises(RequestProblem) as caught:
        codec(THREE + "Maps").encode(value)
    assert 'times["7"]' == caught.value.violations[0].field


def test_bad_wire_bytes_are_a_problem_of_the_backend():
    with pytest.raises(RequestProblem, match=r"not a valid codec\.three\.Tree on the wire") as caught:
        codec(THREE + "Tree").encode_wire(b"\xff")
    assert Code.INTERNAL == caught.value.code


def test_floats_print_shortest_and_minus_zero_is_kept():
    value = message(THREE + "Scalars", a_float=0.1, a_double=-0.0)
    assert b'{"aDouble":-0.0,"aFloat":0.1}' == codec(THREE + "Scalars").encode(value)


def test_defaults_are_printed_where_there_is_no_presence():
    printed = codec(THREE + "Presence", emit_defaults=True).encode_value(message(THREE + "Presence"))
    assert {} == printed
    printed = codec(THREE + "Tree", emit_defaults=True).encode_value(message(THREE + "Tree"))
    assert {"name": "", "others": [], "named": {}} == printed


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


def test_extensions_go_by_their_full_name():
    text = b'{"id":"x","[codec.two.nickname]":"y","[codec.two.extra]":{"remark":"z"}}'
    old = codec("codec.two.Old")
    assert text == old.encode(old.decode(text))
    assert [
        ("[codec.two.extra].remark", "expected a string, got 1"),
        ('["[codec.two.nope]"]', "no such field in codec.two.Old"),
    ] == violations("codec.two.Old", '{"[codec.two.extra]": {"remark": 1}, "[codec.two.nope]": 1}')


def test_a_field_that_hides_an_attribute_of_messages_is_still_a_field():
    file = descriptor_pb2.FileDescriptorProto(name="odd.proto", package="odd", syntax="proto3")
    odd = file.message_type.add(name="Odd")
    names = [
        "DESCRIPTOR",
        "SerializeToString",
        "HasField",
        "__class__",
        "m",
        "d",
        "v",
        "get",
        "depth",
        "self",
        "None",
    ]
    for number, name in enumerate(names, 1):
        odd.field.add(name=name, json_name=name, number=number, type=9, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    odd_codec = Codec(pool.FindMessageTypeByName("odd.Odd"))
    value = dict.fromkeys(names, "x")
    assert value == odd_codec.encode_value(odd_codec.decode_value(value))


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


def test_codecs_of_one_schema_share_their_functions():
    lists = codec(THREE + "Lists")
    tree = lists.for_message(descriptor(THREE + "Tree"))
    assert "Codec(codec.three.Tree" in repr(tree)
    assert b'{"name":"x"}' == tree.encode(tree.decode(b'{"name":"x"}'))


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary(max_size=3)
    | st.just(object()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("name", MESSAGES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whatever_comes_is_read_or_refused(name, data):
    """No input raises anything but RequestProblem, in any field."""
    kind = descriptor(name)
    field = data.draw(st.sampled_from(list(kind.fields)))
    value = data.draw(
        ANY_JSON | st.lists(ANY_JSON, max_size=2) | st.dictionaries(st.text(max_size=2), ANY_JSON)
    )
    for document in (value, {field.json_name: value}, {field.name: value, "x": value}):
        try:
            read = Codec(kind).decode_value(document)
        except RequestProblem:
            continue
        assert isinstance(read, GetMessageClass(kind))
