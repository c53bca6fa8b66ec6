"""Which types fit which: the whole table, and what arrives."""

from __future__ import annotations

import itertools

import pytest
from google.protobuf import text_format

from gateway.compose.binding import compile_bindings
from gateway.compose.shape import of_message
from gateway.compose.source import Root
from gateway.compose.spec import Binding
from mesh.policy.problem import Problems

KINDS = {
    "double": ("double",),
    "float": ("float",),
    "int32": ("int32", "sint32", "sfixed32"),
    "int64": ("int64", "sint64", "sfixed64"),
    "uint32": ("uint32", "fixed32"),
    "uint64": ("uint64", "fixed64"),
    "bool": ("bool",),
    "string": ("string",),
    "bytes": ("bytes",),
    "shop.v1.Kind": ("kind",),
    "shop.v1.Colour": ("colour",),
    "shop.v1.Money": ("money",),
    "shop.v1.Variant": ("variant",),
    "map<string, int32>": ("counts",),
    "map<string, int64>": ("big_counts",),
    "repeated int32": ("int32s",),
    "repeated int64": ("int64s",),
    "repeated string": ("strings",),
    "repeated shop.v1.Money": ("monies",),
    "repeated double": ("doubles",),
}
WIDENINGS = {
    ("int32", "int64"),
    ("int32", "double"),
    ("uint32", "int64"),
    ("uint32", "uint64"),
    ("uint32", "double"),
    ("float", "double"),
    ("repeated int32", "repeated int64"),
    ("repeated int32", "repeated double"),
}
FULL = """
double: 1.5 float: 2.5 int32: -2147483648 sint32: -2 sfixed32: -3 int64: -9223372036854775808 sint64: -5
sfixed64: -6 uint32: 4294967295 fixed32: 8 uint64: 18446744073709551615 fixed64: 10 bool: true string: "s"
bytes: "\\377" kind: KIND_BOOK colour: COLOUR_RED money { units: 5 } variant { id: "v" }
counts { key: "a" value: 1 } big_counts { key: "b" value: 2 } int32s: [1, -2] int64s: [3, 4] strings: ["x"]
monies { units: 1 } monies { units: 2 } doubles: [0.5]
"""


def fill(shop, field, value, source="Kinds", target="Kinds"):
    """Compile one binding; return its filling and its problems."""
    problems = []
    roots = {"request": Root(0, of_message(shop.pool.FindMessageTypeByName(f"shop.v1.{source}")))}
    message = shop.pool.FindMessageTypeByName(f"shop.v1.{target}")
    filling = compile_bindings([Binding(field, value)], message, roots, Problems("at", problems))
    return filling, [problem.message for problem in problems]


def test_every_pair_of_types(shop):
    """A type fits itself under all its encodings, and what it widens to; nothing else."""
    full = text_format.Parse(FULL, shop.new("Kinds"))
    assert {name for names in KINDS.values() for name in names} == set(full.DESCRIPTOR.fields_by_name)
    for (source, names), (target, others) in itertools.product(KINDS.items(), repeat=2):
        for name, other in itertools.product(names, others):
            filling, problems = fill(shop, other, f"request.{name}")
            if source == target or (source, target) in WIDENINGS:
                assert not problems, (name, other)
                filled = filling.build([full])
                assert getattr(filled, other) == getattr(full, name)
            else:
                assert problems == [f'"request.{name}" is {source}, and the field is {target}']


@pytest.mark.parametrize(
    ("field", "value", "becomes"),
    [
        ("string", '"text"', "text"),
        ("bool", "true", True),
        ("int32", "-2147483648", -(2**31)),
        ("uint64", "18446744073709551615", 2**64 - 1),
        ("double", "12", 12.0),
        ("float", "1.5", 1.5),
        ("kind", "KIND_FOOD", 2),
        ("money.units", "7", None),
    ],
)
def test_literals_that_fit(shop, field, value, becomes):
    filling, problems = fill(shop, field, value)
    assert not problems
    assert not filling.uses
    filled = filling.build([shop.new("Kinds")])
    if becomes is None:
        assert filled.money.units == 7
    else:
        assert getattr(filled, field) == becomes


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("string", "12", "12 is no string"),
        ("string", "true", "true is no string"),
        ("bytes", '"text"', '"text" is no bytes'),
        ("int32", '"12"', '"12" is no int32'),
        ("int32", "1.5", "1.5 is no int32"),
        ("int32", "true", "true is no int32"),
        ("int32", "2147483648", "2147483648 is out of the range of int32, -2147483648 to 2147483647"),
        ("uint32", "-1", "-1 is out of the range of uint32, 0 to 4294967295"),
        ("bool", "1", "1 is no bool"),
        ("double", '"1.5"', '"1.5" is no double'),
        ("kind", "1", "1 is not the name of a value of shop.v1.Kind"),
        ("kind", '"KIND_BOOK"', '"KIND_BOOK" is not the name of a value of shop.v1.Kind'),
        (
            "kind",
            "KIND_BOK",
            '"KIND_BOK" is neither a value of shop.v1.Kind nor a step; did you mean "KIND_BOOK"?',
        ),
        ("kind", "COLOUR_RED", '"COLOUR_RED" is neither a value of shop.v1.Kind nor a step'),
        ("int32s", "1", "a literal cannot be a repeated int32"),
        ("money", "1", "a literal cannot be a shop.v1.Money"),
        ("counts", "1", "a literal cannot be a map<string, int32>"),
    ],
)
def test_literals_that_do_not_fit(shop, field, value, message):
    assert fill(shop, field, value)[1] == [message]


def test_a_literal_is_no_list_of_enums(shop):
    problems = fill(shop, "kinds", "KIND_BOOK", target="ListProductsRequest")[1]
    assert problems == ["a literal cannot be a repeated shop.v1.Kind"]
