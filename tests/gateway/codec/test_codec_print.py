"""What the codec prints, and what it says of a message that has no JSON form."""

import math

import pytest

from gateway.codec import Options
from gateway.codec.decode import Decoders
from gateway.codec.encode import Encoders
from gateway.codec.source import Source
from gateway.problem import RequestProblem
from mesh.call import Code
from tests.gateway.codec.reading import THREE, codec
from tests.gateway.codec.schema import message


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


def test_what_keeps_state_says_so():
    tree = codec(THREE + "Tree")
    tree.encode(tree.decode(b"{}"))
    assert "Codec(codec.three.Tree, Options(proto_names=False" in repr(tree)
    assert repr(Decoders(Options())).startswith("Decoders(0 message types")
    assert repr(Encoders(Options())).startswith("Encoders(0 message types")
    assert "def function(v):" == repr(Source("v"))
