"""Which shape a field or a message takes in JSON."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor import FieldDescriptor

from gateway.codec.enumeration import NULL_VALUE
from gateway.codec.option import Options

ANY: Final = "google.protobuf.Any"
VALUE: Final = "google.protobuf.Value"
WRAPPERS: Final = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)
SPECIAL: Final = WRAPPERS | {
    ANY,
    VALUE,
    "google.protobuf.Duration",
    "google.protobuf.FieldMask",
    "google.protobuf.ListValue",
    "google.protobuf.Struct",
    "google.protobuf.Timestamp",
}
"""The messages whose JSON form is not an object of their fields: inside an Any they sit under "value"."""


def map_entry(field: FieldDescriptor) -> tuple[FieldDescriptor, FieldDescriptor] | None:
    """Return the key and the value of a map field, which protobuf declares as a repeated message; None for others."""
    if field.message_type is None or not field.message_type.GetOptions().map_entry:
        return None
    members = field.message_type.fields_by_name
    return members["key"], members["value"]


def in_choice(field: FieldDescriptor) -> bool:
    """Say whether setting a field unsets others; a proto3 `optional` sits in a oneof of its own."""
    return field.containing_oneof is not None and len(field.containing_oneof.fields) > 1


def printed_name(field: FieldDescriptor, options: Options) -> str:
    """Return the name a field is printed with, which is also the one that paths use."""
    return field.name if options.proto_names else field.json_name


def takes_null(field: FieldDescriptor) -> bool:
    """Say whether null is a value of the field; elsewhere it means that the field is absent."""
    if field.is_repeated:
        return False
    if field.message_type is not None:
        return field.message_type.full_name == VALUE
    return field.enum_type is not None and field.enum_type.full_name == NULL_VALUE
