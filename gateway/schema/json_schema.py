"""Decides which JSON Schema describes the ProtoJSON form of a message, an enum or a field.

Messages and enums become components under their full names and are referred to; the well-known types are
described where they are used, by what they look like in JSON.

One component serves requests and responses. A message that clients send is closed: a name it does not have is refused, so
the schema refuses it too. One that only services send is open, since services may say more tomorrow.
"""

from __future__ import annotations

import base64
import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FieldOptions

from gateway.codec.enumeration import NULL_VALUE, printed_names
from gateway.codec.option import Options
from gateway.codec.scalar import INT64_TYPES, UINT64_TYPES, print_special
from gateway.codec.shape import WRAPPERS, in_choice, map_entry, printed_name
from gateway.schema.json_type import SCALARS, WELL_KNOWN, Json, key_schema, nullable
from gateway.schema.kind import message_of

_TEXTS: Final = frozenset({FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES})
_IMMUTABLE: Final = "It is given at creation and does not change."


class Components:
    """The schemas of one document: those asked for, and those they refer to."""

    def __init__(
        self,
        comments: Mapping[str, str],
        options: Options | None = None,
        *,
        sent: Collection[str] = frozenset(),
        answered: Collection[str] = frozenset(),
    ) -> None:
        """`sent` and `answered` are the full names of the messages within bodies of requests and of answers."""
        self.options = options or Options()
        self._comments = comments
        self._sent = sent
        self._answered = answered
        self._schemas: dict[str, Json] = {}
        self._pending: list[Descriptor] = []

    def message(self, descriptor: Descriptor) -> Json:
        """Return the schema of a message: a reference, or the description of a well-known type."""
        name = descriptor.full_name
        if name in WRAPPERS:
            return nullable(self._one(descriptor.fields_by_name["value"]))
        if name in WELL_KNOWN:
            return dict(WELL_KNOWN[name])
        if name not in self._schemas:
            # Written later: a message may hold itself, or begin a chain longer than the stack.
            self._schemas[name] = {}
            self._pending.append(descriptor)
        return _reference(name)

    def field(self, field: FieldDescriptor) -> Json:
        """Return the schema of a field, with its comment and what google.api.field_behavior says of it."""
        schema = self.value(field)
        behaviors = behaviors_of(field)
        words = [self._comments.get(field.full_name, "")]
        if field_behavior_pb2.IMMUTABLE in behaviors:
            words.append(_IMMUTABLE)
        if description := "\n\n".join(filter(None, words)):
            schema["description"] = description
        if field.has_default_value:
            schema["default"] = _default(field, self.options)
        if field.GetOptions().deprecated:
            schema["deprecated"] = True
        if field_behavior_pb2.OUTPUT_ONLY in behaviors:
            schema["readOnly"] = True
        if field_behavior_pb2.INPUT_ONLY in behaviors:
            schema["writeOnly"] = True
        if field_behavior_pb2.REQUIRED in behaviors:
            schema |= _not_empty(field)
        return schema

    def value(self, field: FieldDescriptor) -> Json:
        """Return the schema of what a field holds, and nothing about the field."""
        if (pair := map_entry(field)) is not None:
            key, value = pair
            schema = {"type": "object", "additionalProperties": self._one(value)}
            keys = key_schema(key)
            return {**schema, "propertyNames": keys} if keys else schema
        one = self._one(field)
        return {"type": "array", "items": one} if field.is_repeated else one

    def properties(self, descriptor: Descriptor, without: Collection[str] = ()) -> Json:
        """Return the schema of a message written out, less some fields that are given elsewhere."""
        fields = [field for field in descriptor.fields if field.name not in without]
        schema: Json = {"type": "object"}
        oneofs, words = self._oneofs(descriptor, without)
        text = "\n\n".join(part for part in (self._comments.get(descriptor.full_name, ""), words) if part)
        if text:
            schema["description"] = text
        if descriptor.GetOptions().deprecated:
            schema["deprecated"] = True
        schema["properties"] = {self.name(field): self.field(field) for field in fields}
        required = [self.name(field) for field in fields if self._is_required(field, descriptor)]
        if required:
            schema["required"] = required
        if oneofs:
            schema["allOf"] = oneofs
        if descriptor.full_name in self._sent and not self.options.ignore_unknown:
            if descriptor.is_extendable:
                # "Extension fields are represented with the extension's full name in brackets." - ProtoJSON
                schema["patternProperties"] = {"^\\[.+\\]$": {}}
            schema["additionalProperties"] = False
        return schema

    def name(self, field: FieldDescriptor) -> str:
        """Return the name of a field in JSON."""
        return printed_name(field, self.options)

    def requires_any(self, descriptor: Descriptor, without: Collection[str] = ()) -> bool:
        """Whether a message has fields that must be given, beside those given elsewhere."""
        return any(
            self._is_required(field, descriptor) for field in descriptor.fields if field.name not in without
        )

    def put(self, name: str, schema: Json) -> Json:
        """Add a schema that is no message's; return the reference to it."""
        self._schemas[name] = schema
        return _reference(name)

    def schemas(self) -> Json:
        """Return all components, sorted by name."""
        while self._pending:
            descriptor = self._pending.pop()
            self._schemas[descriptor.full_name] = self.properties(descriptor)
        return dict(sorted(self._schemas.items()))

    def _is_required(self, field: FieldDescriptor, holder: Descriptor) -> bool:
        if field.is_required:
            return True
        name = holder.full_name
        if name not in self._sent:
            # Only services send it, and say all that has no presence.
            return self.options.emit_defaults and not field.has_presence and not _is(field, "INPUT_ONLY")
        if not is_required(field) or _is(field, "OUTPUT_ONLY"):
            return False
        # A number that is zero is not printed: in an answer it is absent, though it was given.
        printed = field.has_presence or field.is_repeated or field.type in _TEXTS
        return printed or self.options.emit_defaults or name not in self._answered

    def _one(self, field: FieldDescriptor) -> Json:
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        return dict(SCALARS[field.type]) if field.message_type is None else self.message(message_of(field))

    def _enum(self, enum: EnumDescriptor) -> Json:
        if enum.full_name == NULL_VALUE:
            return {"type": "null"}
        if enum.full_name not in self._schemas:
            printed = printed_names(enum)
            names = {value.number: printed[value.number] for value in enum.values}
            numbered = self.options.enum_numbers
            schema: Json = {"type": "string", "enum": list(names.values())}
            if numbered:
                schema = {"type": "integer", "enum": list(names), "x-enum-varnames": list(names.values())}
            values = [(value, f"{enum.full_name}.{value.name}") for value in enum.values]
            lines = [
                f"- `{value.number if numbered else names[value.number]}`: {self._comments[key]}"
                for value, key in values
                if key in self._comments
            ]
            text = "\n\n".join(
                part for part in (self._comments.get(enum.full_name, ""), "\n".join(lines)) if part
            )
            if text:
                schema["description"] = text
            if enum.GetOptions().deprecated:
                schema["deprecated"] = True
            self._schemas[enum.full_name] = schema
        return _reference(enum.full_name)

    def _oneofs(self, descriptor: Descriptor, without: Collection[str]) -> tuple[list[Json], str]:
        """Return the constraints that oneofs are, and the same in words."""
        choices = [
            [self.name(field) for field in oneof.fields if field.name not in without]
            for oneof in descriptor.oneofs
        ]
        # An optional field of proto3 sits in a oneof of its own, which constrains nothing.
        choices = [names for names in choices if len(names) > 1]
        return one_of_each(choices), "\n".join(map(at_most_one, choices))

    def __repr__(self) -> str:
        return f"<Components {len(self._schemas)}>"


def reach(descriptors: Iterable[Descriptor]) -> frozenset[str]:
    """Return the full names of these messages and of all that they hold."""
    found: set[str] = set()
    pending = list(descriptors)
    while pending:
        descriptor = pending.pop()
        if descriptor.full_name not in found:
            found.add(descriptor.full_name)
            pending.extend(message_of(field) for field in descriptor.fields if field.message_type is not None)
    return frozenset(found)


def behaviors_of(field: FieldDescriptor) -> Collection[int]:
    """Return what google.api.field_behavior says of a field."""
    # Parsed anew for the reason given in route/table.py: an extension unknown to the pool's first look stays
    # unknown.
    options = FieldOptions.FromString(field.GetOptions().SerializeToString())
    found: Collection[int] = options.Extensions[field_behavior_pb2.field_behavior]
    return found


def is_required(field: FieldDescriptor) -> bool:
    """Whether a field must be given: proto2's required, or google.api.field_behavior REQUIRED."""
    return field.is_required or _is(field, "REQUIRED")


def one_of_each(choices: Iterable[Sequence[str]]) -> list[Json]:
    """Return the constraints that oneofs of these properties are."""
    return [
        {"not": {"required": list(pair)}} for names in choices for pair in itertools.combinations(names, 2)
    ]


def at_most_one(names: Iterable[str]) -> str:
    """Return in words what a oneof of these names says."""
    return "At most one of " + ", ".join(f"`{name}`" for name in names) + " is given."


def choice_of(field: FieldDescriptor) -> tuple[FieldDescriptor, ...]:
    """Return the fields of the oneof that a field is in; none for one that is in no choice."""
    oneof = field.containing_oneof
    return tuple(oneof.fields) if oneof is not None and in_choice(field) else ()


def _is(field: FieldDescriptor, behavior: str) -> bool:
    return field_behavior_pb2.FieldBehavior.Value(behavior) in behaviors_of(field)


def _not_empty(field: FieldDescriptor) -> Json:
    """Return what holds of a field that must be given and, when it is empty, is as good as absent."""
    if field.has_presence:
        return {}
    if field.is_repeated:
        return {"minItems": 1} if map_entry(field) is None else {"minProperties": 1}
    return {"minLength": 1} if field.type in _TEXTS else {}


def _default(field: FieldDescriptor, options: Options) -> object:
    """Return the default that a proto2 file declares, as JSON writes it."""
    value = field.default_value
    if field.enum_type is not None:
        return value if options.enum_numbers else printed_names(field.enum_type)[value]
    if field.type in INT64_TYPES | UINT64_TYPES:
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return print_special(value) if isinstance(value, float) and not math.isfinite(value) else value


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
