"""Which JSON values stand for which numbers of an enum, and how a number is printed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from google.protobuf.descriptor import EnumDescriptor, EnumValueDescriptor
from google.protobuf.descriptor_pool import Default

from gateway.codec.fault import UnknownName
from gateway.codec.leaf import Leaf, never

NULL_VALUE: Final = "google.protobuf.NullValue"
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,10}")
_NAMES_SHOWN: Final = 8


def printed_names(enum: EnumDescriptor) -> dict[int, str]:
    """Return the JSON name of every number; of aliases the first declared wins."""
    return {value.number: _custom_name(value) or value.name for value in reversed(enum.values)}


def accepted_names(enum: EnumDescriptor) -> dict[str, int]:
    """Return the number of every JSON name."""
    custom = {name: value.number for value in enum.values if (name := _custom_name(value))}
    return custom | {value.name: value.number for value in enum.values}


def enum_leaf(enum: EnumDescriptor) -> Leaf:
    """Return how an enum is read; ProtoJSON: "Parsers accept both enum names and integer values"."""
    numbers = accepted_names(enum)
    listed = list(numbers)[:_NAMES_SHOWN]
    more = ", ..." if len(numbers) > _NAMES_SHOWN else ""
    return Leaf(
        _reader(enum, numbers), f"a value of enum {enum.full_name} ({', '.join(listed)}{more})", "", never
    )


def _reader(enum: EnumDescriptor, numbers: dict[str, int]) -> Callable[[object], int]:
    full_name = enum.full_name
    # A closed enum has no number for a value it does not declare; an open one keeps any int32.
    declared = frozenset(enum.values_by_number) if enum.is_closed else None
    nullable = full_name == NULL_VALUE

    def read(value: object) -> int:
        if type(value) is str:
            if (known := numbers.get(value)) is not None:
                return known
            if not _INTEGER.fullmatch(value):
                raise UnknownName(full_name, value, numbers)
            value = int(value)
        elif type(value) is float and value.is_integer():
            value = int(value)
        elif value is None and nullable:
            return 0
        if type(value) is not int or not -(2**31) <= value < 2**31:
            raise ValueError
        if declared is not None and value not in declared:
            raise ValueError
        return value

    return read


def _custom_name(value: EnumValueDescriptor) -> str:
    # The option exists from protobuf 7 on and is registered by whoever imports its generated module.
    try:
        extension = Default().FindExtensionByName("pb.enumvalue.json")
    except KeyError:
        return ""
    options = value.GetOptions()
    return str(options.Extensions[extension].string) if options.HasExtension(extension) else ""
