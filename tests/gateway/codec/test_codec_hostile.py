"""Whatever a client sends is read or refused, in bounded time and words."""

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.codec import Codec
from gateway.problem import VIOLATIONS_SHOWN, RequestProblem
from tests.gateway.codec.reading import THREE, codec
from tests.gateway.codec.schema import MESSAGES, descriptor


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
