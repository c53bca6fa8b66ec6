"""Decides which JSON Schema describes the ProtoJSON form of a message, an enum or a field.

Messages and enums become components under their full names and are referred to; the well-known types are
described where they are used, by what they look like in JSON.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FieldOptions

from gateway.codec.enumeration import NULL_VALUE, printed_names
from gateway.codec.scalar import INT32_TYPES, INT64_TYPES, UINT32_TYPES, UINT64_TYPES
from gateway.codec.shape import WRAPPERS, map_entry
from gateway.schema.kind import HTTP_BODY, message_of

Json = dict[str, Any]

# ProtoJSON on int64, fixed64 and uint64: "JSON value will be a decimal string."
_SCALARS: Final[Mapping[int, Json]] = {
    **{kind: {"type": "integer", "format": "int32"} for kind in INT32_TYPES},
    **{kind: {"type": "integer", "format": "uint32", "minimum": 0} for kind in UINT32_TYPES},
    **{kind: {"type": "string", "format": "int64"} for kind in INT64_TYPES},
    **{kind: {"type": "string", "format": "uint64"} for kind in UINT64_TYPES},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}
_WELL_KNOWN: Final[Mapping[str, Json]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "format": "duration-seconds", "examples": ["1.5s"]},
    "google.protobuf.FieldMask": {
        "type": "string",
        "format": "field-mask",
        "examples": ["userName,address.city"],
    },
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.Any": {
        "type": "object",
        "properties": {"@type": {"type": "string", "description": "The type of the message: a URL."}},
        "additionalProperties": True,
    },
    HTTP_BODY: {"type": "string", "contentMediaType": "application/octet-stream"},
}
_KEY_PATTERNS: Final[Mapping[int, str]] = {
    **dict.fromkeys(INT32_TYPES | INT64_TYPES, "^-?[0-9]+$"),
    **dict.fromkeys(UINT32_TYPES | UINT64_TYPES, "^[0-9]+$"),
    FieldDescriptor.TYPE_BOOL: "^(true|false)$",
}


class Components:
    """The schemas of one document: those asked for, and those they refer to."""

    def __init__(self, comments: Mapping[str, str]) -> None:
        self._comments = comments
        self._schemas: dict[str, Json] = {}
        self._pending: list[Descriptor] = []

    def message(self, descriptor: Descriptor) -> Json:
        """Return the schema of a message: a reference, or the description of a well-known type."""
        name = descriptor.full_name
        if name in WRAPPERS:
            inner = self._one(descriptor.fields_by_name["value"])
            return {**inner, "type": [inner["type"], "null"]}
        if name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[name])
        if name not in self._schemas:
            # Written later: a message may hold itself, or begin a chain longer than the stack.
            self._schemas[name] = {}
            self._pending.append(descriptor)
        return _reference(name)

    def field(self, field: FieldDescriptor) -> Json:
        """Return the schema of a field, with its comment and what google.api.field_behavior says of it."""
        schema = self.value(field)
        description = self._comments.get(field.full_name)
        if description:
            schema["description"] = description
        if field.GetOptions().deprecated:
            schema["deprecated"] = True
        behaviors = behaviors_of(field)
        if field_behavior_pb2.OUTPUT_ONLY in behaviors:
            schema["readOnly"] = True
        if field_behavior_pb2.INPUT_ONLY in behaviors:
            schema["writeOnly"] = True
        return schema

    def value(self, field: FieldDescriptor) -> Json:
        """Return the schema of what a field holds, and nothing about the field."""
        if (pair := map_entry(field)) is not None:
            key, value = pair
            schema = {"type": "object", "additionalProperties": self._one(value)}
            pattern = _KEY_PATTERNS.get(key.type)
            return {**schema, "propertyNames": {"pattern": pattern}} if pattern else schema
        one = self._one(field)
        return {"type": "array", "items": one} if field.is_repeated else one

    def properties(self, descriptor: Descriptor, without: Collection[str] = ()) -> Json:
        """Return the schema of a message written out, less some fields that are given elsewhere."""
        fields = [field for field in descriptor.fields if field.name not in without]
        schema: Json = {"type": "object"}
        oneofs, words = _oneofs(descriptor, without)
        text = "\n\n".join(part for part in (self._comments.get(descriptor.full_name, ""), words) if part)
        if text:
            schema["description"] = text
        if descriptor.GetOptions().deprecated:
            schema["deprecated"] = True
        schema["properties"] = {field.json_name: self.field(field) for field in fields}
        required = [field.json_name for field in fields if is_required(field)]
        if required:
            schema["required"] = required
        if oneofs:
            schema["allOf"] = oneofs
        return schema

    def schemas(self) -> Json:
        """Return all components, sorted by name."""
        while self._pending:
            descriptor = self._pending.pop()
            self._schemas[descriptor.full_name] = self.properties(descriptor)
        return dict(sorted(self._schemas.items()))

    def _one(self, field: FieldDescriptor) -> Json:
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        return dict(_SCALARS[field.type]) if field.message_type is None else self.message(message_of(field))

    def _enum(self, enum: EnumDescriptor) -> Json:
        if enum.full_name == NULL_VALUE:
            return {"type": "null"}
        if enum.full_name not in self._schemas:
            names = printed_names(enum)
            schema: Json = {"type": "string", "enum": list(names.values())}
            values = [(names[value.number], f"{enum.full_name}.{value.name}") for value in enum.values]
            lines = [f"- `{name}`: {self._comments[key]}" for name, key in values if key in self._comments]
            text = "\n\n".join(
                part for part in (self._comments.get(enum.full_name, ""), "\n".join(lines)) if part
            )
            if text:
                schema["description"] = text
            if enum.GetOptions().deprecated:
                schema["deprecated"] = True
            self._schemas[enum.full_name] = schema
        return _reference(enum.full_name)

    def __repr__(self) -> str:
        return f"<Components {len(self._schemas)}>"


def behaviors_of(field: FieldDescriptor) -> Collection[int]:
    """Return what google.api.field_behavior says of a field."""
    # Parsed anew for the reason given in route/table.py: an extension unknown to the pool's first look stays
    # unknown.
    options = FieldOptions.FromString(field.GetOptions().SerializeToString())
    found: Collection[int] = options.Extensions[field_behavior_pb2.field_behavior]
    return found


def is_required(field: FieldDescriptor) -> bool:
    """Whether a field must be given: proto2's required, or google.api.field_behavior REQUIRED."""
    return field.is_required or field_behavior_pb2.REQUIRED in behaviors_of(field)


def _oneofs(descriptor: Descriptor, without: Collection[str]) -> tuple[list[Json], str]:
    """Return the constraints that oneofs are, and the same in words."""
    constraints: list[Json] = []
    words: list[str] = []
    for oneof in descriptor.oneofs:
        names = [field.json_name for field in oneof.fields if field.name not in without]
        # An optional field of proto3 sits in a oneof of its own, which constrains nothing.
        if len(names) < 2:
            continue
        given = [{"required": [name]} for name in names]
        constraints.append({"oneOf": [*given, {"not": {"anyOf": given}}]})
        words.append("At most one of " + ", ".join(f"`{name}`" for name in names) + " is given.")
    return constraints, "\n".join(words)


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
