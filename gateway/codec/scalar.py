"""What each scalar type accepts as JSON, and how the ones JSON has no form for are printed.

The rules are ProtoJSON's: "Either numbers or strings are accepted" for numbers, "Either standard or URL-safe base64
encoding with/without paddings are accepted" for bytes - https://protobuf.dev/programming-guides/json/.
"""

from __future__ import annotations

import binascii
import math
import re
import struct
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from gateway.codec.enumeration import enum_leaf
from gateway.codec.leaf import Leaf, never

# The largest double that rounds to the largest float: shortest printing yields 3.4028235e+38, which is above it.
FLOAT_MAX: Final = float.fromhex("0x1.fffffefffffffp+127")
DOUBLE_MAX: Final = float.fromhex("0x1.fffffffffffffp+1023")
_SPECIAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NUMBER_LENGTH: Final = 400  # longer than any double written out in full; int() is quadratic in it
_PLAIN_LENGTH: Final = 21  # of the longest 64-bit number, and one more
_URL_SAFE: Final = str.maketrans("-_", "+/")
_FLOAT_BYTES: Final = struct.Struct("<f")

INT32_TYPES: Final = frozenset(
    {
        FieldDescriptor.TYPE_INT32,
        FieldDescriptor.TYPE_SINT32,
        FieldDescriptor.TYPE_SFIXED32,
    }
)
UINT32_TYPES: Final = frozenset({FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_FIXED32})
INT64_TYPES: Final = frozenset(
    {
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_SINT64,
        FieldDescriptor.TYPE_SFIXED64,
    }
)
UINT64_TYPES: Final = frozenset({FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64})


def leaf_of(field: FieldDescriptor) -> Leaf:
    """Return how a scalar or enum field, map value or wrapper's value is read."""
    return enum_leaf(field.enum_type) if field.enum_type is not None else _LEAVES[field.type]


def key_reader(field: FieldDescriptor) -> Leaf:
    """Return how the keys of a map, always text in JSON, are read."""
    return _BOOL_KEY if field.type == FieldDescriptor.TYPE_BOOL else _LEAVES[field.type]


def print_float(value: float) -> float | str:
    """Return the shortest number that is the same in 32 bits: 0.1, not 0.10000000149011612."""
    if value.is_integer() and -1e6 < value < 1e6:
        return value
    if not math.isfinite(value):
        return print_special(value)
    for digits in (6, 7, 8):
        short = float(f"{value:.{digits}g}")
        if abs(short) <= FLOAT_MAX and _FLOAT_BYTES.unpack(_FLOAT_BYTES.pack(short))[0] == value:
            return short
    return float(f"{value:.9g}")


def print_special(value: float) -> str:
    """Return the JSON text of a number JSON has no literal for."""
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _integer_leaf(low: int, high: int) -> Leaf:
    def read(value: object) -> int:
        if type(value) is str:
            # Plain digits, which is how 64-bit numbers are printed, need no pattern.
            plain = len(value) < _PLAIN_LENGTH and value.isdigit() and value.isascii()
            value = int(value) if plain else _integer_of(value)
        # The parser turns integers beyond 64 bits into floats, and -2**63 - 1 rounds to -2**63: refused as well.
        if type(value) is float and value.is_integer() and -(2.0**63) < value < 2.0**64:
            value = int(value)
        if type(value) is not int or not low <= value <= high:
            raise ValueError
        return value

    return Leaf(read, f"an integer from {low} to {high}", "type({v}) is int", _all_of(int))


def _integer_of(text: str) -> int | float:
    if len(text) > _NUMBER_LENGTH or not _NUMBER.fullmatch(text):
        raise ValueError
    return float(text) if "." in text or "e" in text or "E" in text else int(text)


def _float_leaf(limit: float, words: str) -> Leaf:
    def read(value: object) -> float:
        if type(value) is str:
            if (special := _SPECIAL.get(value)) is not None:
                return special
            if len(value) > _NUMBER_LENGTH or not _NUMBER.fullmatch(value):
                raise ValueError
            value = float(value)
        if type(value) is int and -limit <= value <= limit:
            return float(value)
        if type(value) is float and -limit <= value <= limit:
            return value
        raise ValueError

    def uniform(values: list[Any]) -> bool:
        if set(map(type, values)) != {float} or not math.isfinite(sum(values)):
            return False
        return bool(-limit <= min(values) and max(values) <= limit)

    return Leaf(read, words, f"type({{v}}) is float and {-limit!r} <= {{v}} <= {limit!r}", uniform)


def _all_of(kind: type) -> Callable[[list[Any]], bool]:
    only = {kind}
    return lambda values: set(map(type, values)) == only


def _read_bool(value: object) -> bool:
    if type(value) is not bool:
        raise ValueError
    return value


def _read_bool_key(value: object) -> bool:
    if value == "true":
        return True
    if value == "false":
        return False
    raise ValueError


def _read_string(value: object) -> str:
    if type(value) is not str:
        raise ValueError
    value.encode()  # raises UnicodeEncodeError for an unpaired surrogate
    return value


def _read_bytes(value: object) -> bytes:
    if type(value) is not str:
        raise ValueError
    text = value.translate(_URL_SAFE) if "-" in value or "_" in value else value
    text = text.rstrip("=")
    return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)


_BOOL: Final = Leaf(_read_bool, "true or false", "type({v}) is bool", _all_of(bool))
_BOOL_KEY: Final = Leaf(_read_bool_key, '"true" or "false"', "", never)
_LEAVES: Final[dict[int, Leaf]] = {
    FieldDescriptor.TYPE_BOOL: _BOOL,
    FieldDescriptor.TYPE_STRING: Leaf(_read_string, "a string", "type({v}) is str", _all_of(str)),
    FieldDescriptor.TYPE_BYTES: Leaf(_read_bytes, "base64 text", "", never),
    FieldDescriptor.TYPE_FLOAT: _float_leaf(FLOAT_MAX, "a 32-bit number"),
    FieldDescriptor.TYPE_DOUBLE: _float_leaf(DOUBLE_MAX, "a number"),
    **dict.fromkeys(INT32_TYPES, _integer_leaf(-(2**31), 2**31 - 1)),
    **dict.fromkeys(UINT32_TYPES, _integer_leaf(0, 2**32 - 1)),
    **dict.fromkeys(INT64_TYPES, _integer_leaf(-(2**63), 2**63 - 1)),
    **dict.fromkeys(UINT64_TYPES, _integer_leaf(0, 2**64 - 1)),
}
