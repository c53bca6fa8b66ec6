"""Decides how fields are told apart: messages whose JSON is one value, and dotted paths to fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.codec.shape import WRAPPERS
from mesh.policy.problem import suggest

TEXTUAL: Final = WRAPPERS | {
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
    "google.protobuf.FieldMask",
}
"""Messages that ProtoJSON writes as one scalar, so that a path or a query can carry them."""

HTTP_BODY: Final = "google.api.HttpBody"


def is_message(field: FieldDescriptor) -> bool:
    """Whether the field holds one message."""
    return field.message_type is not None and not field.is_repeated


def message_of(field: FieldDescriptor) -> Descriptor:
    """Return the message type of a field that has one."""
    return cast("Descriptor", field.message_type)


def is_textual(field: FieldDescriptor) -> bool:
    """Whether one text can carry one value of the field."""
    return field.message_type is None or field.message_type.full_name in TEXTUAL


def resolve(descriptor: Descriptor, path: Sequence[str]) -> tuple[FieldDescriptor, ...]:
    """Return the fields along a path of proto names; raise ValueError naming the part that leads nowhere."""
    fields: list[FieldDescriptor] = []
    for position, name in enumerate(path):
        if position:
            last = fields[-1]
            if not is_message(last):
                raise ValueError(f'"{".".join(path)}": {last.full_name} is not a singular message')
            descriptor = message_of(last)
        field = descriptor.fields_by_name.get(name)
        if field is None:
            known = suggest(name, descriptor.fields_by_name)
            raise ValueError(f'"{".".join(path)}": {descriptor.full_name} has no field "{name}"{known}')
        fields.append(field)
    return tuple(fields)


def json_path(fields: Sequence[FieldDescriptor]) -> str:
    """Return the path as violations and documents spell it: JSON names joined by dots."""
    return ".".join(field.json_name for field in fields)
