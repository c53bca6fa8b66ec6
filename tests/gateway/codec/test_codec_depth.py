"""What the codec reads, any protobuf runtime can parse: entries of maps count towards its hundred messages."""

from __future__ import annotations

import json

import pytest
from google.protobuf.struct_pb2 import Struct

from gateway.codec import Codec, Options
from gateway.problem import RequestProblem
from mesh.call import Code
from tests.gateway.codec.reading import THREE, codec, violations
from tests.gateway.codec.schema import descriptor, message

TREE = descriptor("codec.three.Tree")


def deepest(codec, step):
    """Nest until the codec refuses; return the last message it read, and its depth."""
    last, value = None, {}
    for depth in range(200):
        try:
            last = codec.decode(json.dumps(value).encode())
        except RequestProblem:
            return last, depth - 1
        value = step(value)
    raise AssertionError("there is no limit")


@pytest.mark.parametrize(
    ("of", "step", "most"),
    [
        (Struct.DESCRIPTOR, lambda inner: {"a": inner}, 33),
        (TREE, lambda inner: {"left": inner}, 99),
        (TREE, lambda inner: {"named": {"a": inner}}, 49),
    ],
    ids=["struct", "message", "map"],
)
def test_what_is_read_can_be_parsed(of, step, most):
    message, depth = deepest(Codec(of), step)
    assert depth == most
    assert type(message).FromString(message.SerializeToString()) == message


def nested(depth):
    return '{"left":' * (depth - 1) + "{}" + "}" * (depth - 1)


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
