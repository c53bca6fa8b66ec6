"""Decides which value stands for a message in the examples of a document: the same for the same schema, and valid by it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from gateway.codec.enumeration import NULL_VALUE, printed_names
from gateway.codec.option import Options
from gateway.codec.scalar import INT32_TYPES, INT64_TYPES, UINT32_TYPES, UINT64_TYPES
from gateway.codec.shape import ANY, VALUE, WRAPPERS, map_entry, printed_name
from gateway.schema.json_schema import behaviors_of, choice_of, is_required
from gateway.schema.kind import message_of

_MOST_VALUES: Final = 40
"""In one example: what is not required is left out from there on."""
_MOST_DEPTH: Final = 8
"""Of what is required; a message that requires itself has no example."""

_SCALARS: Final[Mapping[int, Any]] = {
    **dict.fromkeys(INT32_TYPES | UINT32_TYPES, 1),
    **dict.fromkeys(INT64_TYPES | UINT64_TYPES, "1"),
    FieldDescriptor.TYPE_FLOAT: 0.5,
    FieldDescriptor.TYPE_DOUBLE: 0.5,
    FieldDescriptor.TYPE_BOOL: True,
    FieldDescriptor.TYPE_BYTES: "aGVsbG8=",
}
_WELL_KNOWN: Final[Mapping[str, Any]] = {
    "google.protobuf.Timestamp": "2026-01-31T12:30:00Z",
    "google.protobuf.Duration": "1.500s",
    "google.protobuf.FieldMask": "name",
    "google.protobuf.Struct": {"key": "value"},
    VALUE: "value",
    "google.protobuf.ListValue": ["value"],
    "google.protobuf.Empty": {},
    ANY: {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1.500s"},
}


class _NoExampleError(Exception):
    """A message that cannot be written out: it requires itself."""


class Examples:
    """The examples of one document."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def message(self, descriptor: Descriptor, *, sent: bool, without: Collection[str] = ()) -> dict[str, Any]:
        """Return the members of a media type object that show a message; `sent`: by a client. None where none can be."""
        return self._shown(lambda writer: writer.message(descriptor, (), without), sent=sent)

    def field(self, field: FieldDescriptor, *, sent: bool) -> dict[str, Any]:
        """Return the members that show the value of a field."""
        return self._shown(lambda writer: writer.field(field, ()), sent=sent)

    def _shown(self, write: Any, *, sent: bool) -> dict[str, Any]:
        try:
            return {"example": write(_Writer(self._options, sent=sent))}
        except _NoExampleError:
            return {}

    def __repr__(self) -> str:
        return f"<Examples {self._options}>"


class _Writer:
    """One example being written."""

    def __init__(self, options: Options, *, sent: bool) -> None:
        self._options = options
        # Fields that are for the other direction.
        self._other = field_behavior_pb2.OUTPUT_ONLY if sent else field_behavior_pb2.INPUT_ONLY
        self._left = _MOST_VALUES

    def message(self, descriptor: Descriptor, above: tuple[str, ...], without: Collection[str] = ()) -> Any:
        name = descriptor.full_name
        if name in WRAPPERS:
            return self._one(descriptor.fields_by_name["value"], above)
        if name in _WELL_KNOWN:
            return _WELL_KNOWN[name]
        if len(above) >= _MOST_DEPTH:
            raise _NoExampleError
        inside, chosen = (*above, name), set[str]()
        shown: dict[str, Any] = {}
        for field in descriptor.fields:
            if field.name in without or not self._is_shown(field, inside):
                continue
            if choice := choice_of(field):
                if choice[0].name in chosen:
                    continue
                chosen.add(choice[0].name)
            try:
                shown[printed_name(field, self._options)] = self.field(field, inside)
            except _NoExampleError:
                if is_required(field):
                    raise
        return shown

    def field(self, field: FieldDescriptor, above: tuple[str, ...]) -> Any:
        self._left -= 1
        if (pair := map_entry(field)) is not None:
            key, value = pair
            shown = _SCALARS.get(key.type, "key")
            return {str(shown).lower(): self._one(value, above)}
        one = self._one(field, above)
        return [one] if field.is_repeated else one

    def _is_shown(self, field: FieldDescriptor, inside: tuple[str, ...]) -> bool:
        if self._other in behaviors_of(field):
            return False
        if is_required(field) or (self._options.emit_defaults and not field.has_presence):
            return True
        if field.GetOptions().deprecated or self._left <= 0:
            return False
        entry = map_entry(field)
        held = (field if entry is None else entry[1]).message_type
        return held is None or held.full_name not in inside

    def _one(self, field: FieldDescriptor, above: tuple[str, ...]) -> Any:
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        if field.message_type is not None:
            return self.message(message_of(field), above)
        return _SCALARS.get(field.type, field.json_name)

    def _enum(self, enum: EnumDescriptor) -> Any:
        if enum.full_name == NULL_VALUE:
            return None
        names = printed_names(enum)
        # Zero says that nothing was said.
        number = next((value.number for value in enum.values if value.number), enum.values[0].number)
        return number if self._options.enum_numbers else names[number]

    def __repr__(self) -> str:
        return f"<Writer {self._left} values left>"
