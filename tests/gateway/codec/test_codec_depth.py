"""What the codec reads, any protobuf runtime can parse: entries of maps count towards its hundred messages."""

from __future__ import annotations

import json

import pytest
from google.protobuf.struct_pb2 import Struct

from gateway.codec import Codec
from gateway.problem import RequestProblem
from tests.gateway.codec.schema import descriptor

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
