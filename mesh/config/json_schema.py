"""What a `mesh.yaml` may look like, as JSON Schema (draft 2020-12) for editors: a function of the proto's descriptors.

It says what `document` accepts, as far as JSON Schema has words for it: names in both spellings, null as absence, whole
numbers as text. What readers decide by value (ranges, references, combinations) is `mesh check`'s.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import FieldDescriptor

from mesh.config.value import INTEGERS, Field, has_fields, is_map

Json: TypeAlias = dict[str, Any]

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_NULL: Final = "null"
# "ends with the suffix "s" (indicating seconds) and is preceded by the number of seconds, with nanoseconds expressed as
# fractional seconds" - ProtoJSON of google.protobuf.Duration
_DURATION: Final = r"^-?[0-9]+(\.[0-9]{1,9})?s$"
_WHOLE: Final = r"^-?[0-9]+$"
_REAL: Final = r"^(-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?|NaN|-?Infinity)$"


def render(message: Any, comments: Mapping[str, str], *, title: str) -> Json:
    """Return the schema of a message's descriptor; `comments` describe elements by their full name."""
    writer = _Writer(comments)
    root = writer.reference(message)
    return {"$schema": DRAFT, "title": title, **root, "$defs": dict(sorted(writer.definitions.items()))}


class _Writer:
    """The definitions of one schema, each message once."""

    def __init__(self, comments: Mapping[str, str]) -> None:
        self.definitions: dict[str, Json] = {}
        self._comments = comments

    def reference(self, message: Any) -> Json:
        name: str = message.full_name
        if name not in self.definitions:
            self.definitions[name] = {}  # a message may hold itself
            self.definitions[name] = self._message(message)
        return {"$ref": f"#/$defs/{name}"}

    def _message(self, message: Any) -> Json:
        properties: dict[str, Json] = {}
        camel: dict[str, Json] = {}
        for field in message.fields:
            properties[field.name] = self._described(self._field(field), f"{message.full_name}.{field.name}")
            if field.json_name != field.name:
                # "Parsers accept both the lowerCamelCase name and the original proto field name." - ProtoJSON. As a
                # pattern, because editors offer properties for completion, and one spelling is enough there.
                camel[f"^{field.json_name}$"] = {
                    "$ref": f"#/$defs/{message.full_name}/properties/{field.name}"
                }
        schema: Json = {"type": ["object", _NULL], "properties": properties, "additionalProperties": False}
        if camel:
            schema["patternProperties"] = camel
        rivals = [
            {"not": {"required": [one.name, other.name]}}
            for oneof in message.oneofs
            for one, other in itertools.combinations(oneof.fields, 2)
        ]
        if rivals:
            schema["allOf"] = rivals
        return self._described(schema, message.full_name)

    def _field(self, field: Field) -> Json:
        if is_map(field):
            value = field.message_type.fields_by_name["value"]
            return {"type": ["object", _NULL], "additionalProperties": _filled(self._one(value))}
        if field.is_repeated:
            return {"type": ["array", _NULL], "items": _filled(self._one(field))}
        return self._one(field)

    def _one(self, field: Field) -> Json:
        """Return the schema of a single value, null included."""
        if has_fields(field):
            return self.reference(field.message_type)
        if field.message_type is not None:
            return dict(_WELL_KNOWN.get(field.message_type.full_name, {}))
        if field.enum_type is not None:
            return {"enum": [*(value.name for value in field.enum_type.values), None]}
        if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            return {"type": ["boolean", _NULL]}
        if field.cpp_type in INTEGERS:
            low, high = INTEGERS[field.cpp_type]
            return {"type": ["integer", "string", _NULL], "minimum": low, "maximum": high, "pattern": _WHOLE}
        if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            return {"type": ["string", _NULL]}
        return {"type": ["number", "string", _NULL], "pattern": _REAL}

    def _described(self, schema: Json, name: str) -> Json:
        text = self._comments.get(name)
        return {"description": text, **schema} if text else schema


_WELL_KNOWN: Final[Mapping[str, Json]] = {
    "google.protobuf.Duration": {"type": ["string", _NULL], "pattern": _DURATION, "examples": ["1.5s"]},
    "google.protobuf.Struct": {"type": ["object", _NULL]},
    "google.protobuf.Timestamp": {"type": ["string", _NULL], "format": "date-time"},
}


def _filled(schema: Json) -> Json:
    """Return the schema without null: what stands in a list or a mapping must not be empty."""
    return {"allOf": [schema, {"not": {"type": _NULL}}]}
