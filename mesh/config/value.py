"""What a single value of a configuration file may look like, and how a refusal is worded.

ParseDict decides; this module says it in words that name the fix, and is stricter where ProtoJSON is too lax for files
that people read: enum values go by name, and numbers are not true or false.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, TypeAlias

import yaml
from google.protobuf.descriptor import FieldDescriptor

from mesh.policy.problem import suggest

Field: TypeAlias = Any
"""A FieldDescriptor; upb's are of a class of their own."""

_SECONDS = {
    "ns": "1e-9",
    "us": "1e-6",
    "ms": "1e-3",
    "m": "60",
    "min": "60",
    "h": "3600",
    "d": "86400",
    "": "1",
}
_FLOATS = frozenset({FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT})
_DURATION = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?) ?([a-z]*)")
INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


# "The JSON representation" of these is a value of their own, not a mapping of their fields (ProtoJSON, table of types).
_LEAF_MESSAGES = frozenset(
    f"google.protobuf.{name}"
    for name in (
        *("Any", "Duration", "FieldMask", "ListValue", "Struct", "Timestamp", "Value"),
        *("BoolValue", "BytesValue", "DoubleValue", "FloatValue", "Int32Value", "Int64Value"),
        *("StringValue", "UInt32Value", "UInt64Value"),
    )
)


def refusal(field: Field, node: yaml.Node, value: Any) -> str | None:
    """Say what is wrong with a value where ParseDict would say it badly, or would not mind."""
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING and isinstance(value, bool | int | float):
        what = "a boolean" if isinstance(value, bool) else "a number"
        return f"{node.value} is {what} in YAML, and this field is text: write {json.dumps(node.value)}"
    if field.enum_type is not None and not takes_null(field):
        # ProtoJSON takes numbers too; in a file for people the name is the only thing worth reading.
        names = [value.name for value in field.enum_type.values]
        if value not in names:
            return f"{shown(node)} is not a value of {field.enum_type.name}{_enum_suggestion(node, names)}"
    if field.cpp_type in _FLOATS and isinstance(value, bool):
        return f"{shown(node)} is not a number"  # ParseDict would take it for 1 or 0
    if _is_duration(field) and isinstance(node, yaml.ScalarNode):
        match = _DURATION.fullmatch(node.value)
        if match is not None and match[2] in _SECONDS:
            seconds = f"{(Decimal(match[1]) * Decimal(_SECONDS[match[2]])).normalize():f}"
            return f"{shown(node)} is not a duration: durations are in seconds, write {seconds}s"
    return None


def kind(field: Field) -> str:
    """Name what a field takes, for `"x" is not ...`."""
    if field.cpp_type in INTEGERS:
        low, high = INTEGERS[field.cpp_type]
        return f"a whole number from {low} to {high}"
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return "true or false"
    if field.cpp_type in _FLOATS:
        return "a number"
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return "base64 text" if field.type == FieldDescriptor.TYPE_BYTES else "text"
    if _is_duration(field):
        return 'a duration, such as "1.5s"'
    return f"a {(field.message_type or field.enum_type).full_name} as ProtoJSON writes it"


def construct(node: yaml.Node) -> Any:
    """Return the plain Python value of a node; raises yaml.YAMLError for tags of other types."""
    if node.tag == "tag:yaml.org,2002:timestamp":
        return node.value  # ProtoJSON's timestamps are text, and a date in a text field is text
    return yaml.constructor.SafeConstructor().construct_document(node)


def shown(node: yaml.Node) -> str:
    """Return the node as a message quotes it."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "an empty value" if is_null(node) else json.dumps(node.value, ensure_ascii=False)


def choice(word: str, names: Iterable[str]) -> str:
    """Return `; did you mean "x"?`, or all there is to choose from."""
    known = list(names)
    return suggest(word, known) or f"; known: {', '.join(known)}"


def has_fields(field: Field) -> bool:
    """Whether the field's message is written as a mapping of its fields."""
    return field.message_type is not None and field.message_type.full_name not in _LEAF_MESSAGES


def is_map(field: Field) -> bool:
    return bool(field.is_repeated and field.message_type and field.message_type.GetOptions().map_entry)


def is_null(node: yaml.Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def takes_null(field: Field) -> bool:
    """Whether null is a value of the field, and not the field's absence."""
    kind = field.message_type or field.enum_type
    return kind is not None and kind.full_name in {"google.protobuf.Value", "google.protobuf.NullValue"}


def _is_duration(field: Field) -> bool:
    return field.message_type is not None and field.message_type.full_name == "google.protobuf.Duration"


def _enum_suggestion(node: yaml.Node, names: list[str]) -> str:
    word = str(node.value).upper() if isinstance(node, yaml.ScalarNode) else ""
    # buf's ENUM_VALUE_PREFIX: `all` is meant for RETRY_SCOPE_ALL.
    meant = next((name for name in names if word and name.endswith(f"_{word}")), None)
    # buf's ENUM_ZERO_VALUE_SUFFIX: the same as writing nothing.
    named = [name for name in names if not name.endswith("_UNSPECIFIED")]
    return f'; did you mean "{meant}"?' if meant else choice(word, named)
