"""Decides which JSON Schema describes one value of a scalar type or of a well-known message, as ProtoJSON writes it.

What ProtoJSON reads beside it ("Either numbers or strings are accepted", null for what is absent, both spellings of a
name) is not described: a schema says what a client should send, and there is one way to say each thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from gateway.codec.scalar import DOUBLE_MAX, FLOAT_MAX, INT32_TYPES, INT64_TYPES, UINT32_TYPES, UINT64_TYPES
from gateway.codec.shape import ANY, VALUE

Json = dict[str, Any]

# "JSON value will be a number or one of the special string values "NaN", "Infinity", and "-Infinity"." - ProtoJSON. In a
# schema `pattern` is about strings alone.
_SPECIAL: Final = {"type": ["number", "string"], "pattern": "^(NaN|-?Infinity)$"}

_INT32: Final = {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1}
_UINT32: Final = {"type": "integer", "format": "uint32", "minimum": 0, "maximum": 2**32 - 1}
# "JSON value will be a decimal string." - ProtoJSON on int64, fixed64 and uint64
_INT64: Final = {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"}
_UINT64: Final = {"type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$"}

SCALARS: Final[Mapping[int, Json]] = {
    **dict.fromkeys(INT32_TYPES, _INT32),
    **dict.fromkeys(UINT32_TYPES, _UINT32),
    **dict.fromkeys(INT64_TYPES, _INT64),
    **dict.fromkeys(UINT64_TYPES, _UINT64),
    FieldDescriptor.TYPE_FLOAT: {
        **_SPECIAL,
        "format": "float",
        "minimum": -FLOAT_MAX,
        "maximum": FLOAT_MAX,
    },
    FieldDescriptor.TYPE_DOUBLE: {
        **_SPECIAL,
        "format": "double",
        "minimum": -DOUBLE_MAX,
        "maximum": DOUBLE_MAX,
    },
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    # OpenAPI 3.1 has contentEncoding for it; generators of clients know the format of 3.0.
    FieldDescriptor.TYPE_BYTES: {"type": "string", "format": "byte", "contentEncoding": "base64"},
}

# The formats are those of Google's discovery documents; "duration" would be ISO 8601's.
WELL_KNOWN: Final[Mapping[str, Json]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {
        "type": "string",
        "format": "google-duration",
        "pattern": "^-?[0-9]{1,12}(\\.[0-9]{1,9})?s$",
    },
    "google.protobuf.FieldMask": {
        "type": "string",
        "format": "google-fieldmask",
        # "the conversion must be lossless", so there is none - google/protobuf/field_mask.proto on JSON
        "pattern": "^[^_]*$",
    },
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    VALUE: {},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Empty": {"type": "object", "additionalProperties": False},
    ANY: {
        "type": "object",
        "properties": {"@type": {"type": "string", "description": "The type of the message: a URL."}},
        "additionalProperties": True,
    },
}


def key_schema(field: FieldDescriptor) -> Json:
    """Return the schema of a map's key, which in JSON is text whatever its type; nothing for any text."""
    if field.type == FieldDescriptor.TYPE_BOOL:
        return {"enum": ["true", "false"]}
    if field.type in INT32_TYPES:
        return {"format": "int32", "pattern": "^-?[0-9]{1,10}$"}
    if field.type in UINT32_TYPES:
        return {"format": "uint32", "pattern": "^[0-9]{1,10}$"}
    schema = SCALARS[field.type]
    return {name: schema[name] for name in ("format", "pattern") if name in schema}


def nullable(schema: Json) -> Json:
    """Return the schema of a value that may be null: what a wrapper is."""
    kinds = schema["type"]
    return {**schema, "type": [*(kinds if isinstance(kinds, list) else [kinds]), "null"]}


def not_null(schema: Json) -> Json:
    """Return the schema of a value where there is no word for null: in a path, a query or a header."""
    kinds = schema.get("type")
    if not isinstance(kinds, list) or "null" not in kinds:
        return schema
    rest = [kind for kind in kinds if kind != "null"]
    return {**schema, "type": rest if len(rest) > 1 else rest[0]}
