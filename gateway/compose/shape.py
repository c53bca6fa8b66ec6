"""Which values fit which fields: the types of protobuf, as far as assignment is concerned."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from gateway.codec.shape import map_entry

_KINDS: Final = {
    FieldDescriptor.CPPTYPE_BOOL: "bool",
    FieldDescriptor.CPPTYPE_DOUBLE: "double",
    FieldDescriptor.CPPTYPE_FLOAT: "float",
    FieldDescriptor.CPPTYPE_INT32: "int32",
    FieldDescriptor.CPPTYPE_INT64: "int64",
    FieldDescriptor.CPPTYPE_UINT32: "uint32",
    FieldDescriptor.CPPTYPE_UINT64: "uint64",
}
"""The encodings of one number type are one kind: sint32 and sfixed32 are int32."""

_WIDENS: Final = {
    "int32": frozenset({"int64", "double"}),
    "uint32": frozenset({"int64", "uint64", "double"}),
    "float": frozenset({"double"}),
}
"""What each kind may become without losing anything. int64 does not fit a double: 2**53 + 1 would change."""

_RANGES: Final = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """What kind of value a field or an expression has."""

    kind: str
    """A scalar kind, `map<...>`, or the full name of a message or an enum."""
    message: Descriptor | None = None
    enum: EnumDescriptor | None = None
    repeated: bool = False
    map: bool = False

    def element(self) -> Shape:
        """Return the shape of one element of a list."""
        return dataclasses.replace(self, repeated=False)

    def list(self) -> Shape:
        """Return the shape of a list of these."""
        return dataclasses.replace(self, repeated=True)

    def __str__(self) -> str:
        return f"repeated {self.kind}" if self.repeated else self.kind


def of_message(descriptor: Descriptor) -> Shape:
    """Return the shape of one such message."""
    return Shape(descriptor.full_name, message=descriptor)


def of_field(field: FieldDescriptor) -> Shape:
    """Return the shape of a field's value."""
    if field.message_type is not None:
        if (pair := map_entry(field)) is not None:
            key, value = map(of_field, pair)
            return Shape(f"map<{key}, {value}>", map=True)
        return dataclasses.replace(of_message(field.message_type), repeated=field.is_repeated)
    if field.enum_type is not None:
        return Shape(field.enum_type.full_name, enum=field.enum_type, repeated=field.is_repeated)
    return Shape(_scalar(field), repeated=field.is_repeated)


def fits(source: Shape, target: Shape) -> bool:
    """Tell whether every value of `source` is a value of `target`, unchanged."""
    if source.repeated != target.repeated:
        return False
    return source.kind == target.kind or target.kind in _WIDENS.get(source.kind, ())


def literal_misfit(value: Any, target: Shape) -> str:
    """Return why the literal is no value of `target`; empty when it is one."""
    if target.repeated or target.map or target.message is not None:
        return f"a literal cannot be a {target}"
    if target.enum is not None:
        return f"{_written(value)} is not the name of a value of {target}"
    if isinstance(value, bool):
        return "" if target.kind == "bool" else f"{_written(value)} is no {target}"
    if isinstance(value, str):
        return "" if target.kind == "string" else f"{_written(value)} is no {target}"
    if target.kind in {"double", "float"}:
        return ""
    if isinstance(value, float) or target.kind not in _RANGES:
        return f"{_written(value)} is no {target}"
    low, high = _RANGES[target.kind]
    return (
        "" if low <= value <= high else f"{_written(value)} is out of the range of {target}, {low} to {high}"
    )


def _scalar(field: FieldDescriptor) -> str:
    # C++ has one type for both, and text is no sequence of bytes.
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return "bytes" if field.type == FieldDescriptor.TYPE_BYTES else "string"
    return _KINDS[field.cpp_type]


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)
