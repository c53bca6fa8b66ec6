"""Which changes of messages and enums break those who send or receive them, as JSON or on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, OneofDescriptor

from gateway.schema.json_schema import is_required
from mesh.policy.problem import Problem

_TYPES: Final = {
    getattr(FieldDescriptor, name): name.removeprefix("TYPE_").lower()
    for name in vars(FieldDescriptor)
    if name.startswith("TYPE_")
}
"""The names of field types, as protos spell them."""


class Messages:
    """Compares messages and all they are made of, each once for each direction."""

    def __init__(self, *, emit_defaults: bool) -> None:
        """`emit_defaults` says whether responses show fields that hold their defaults."""
        self._emit_defaults = emit_defaults
        self._found: dict[Problem, None] = {}
        self._seen: set[tuple[str, bool]] = set()

    @property
    def found(self) -> tuple[Problem, ...]:
        """Every break, in the order of the types."""
        return tuple(self._found)

    def compare(self, old: Descriptor, new: Descriptor, *, is_request: bool) -> None:
        """Add the breaks of a message that is sent, or received, by clients."""
        waiting = [(old, new)]
        while waiting:
            was, now = waiting.pop()
            if (was.full_name, is_request) in self._seen:
                continue
            self._seen.add((was.full_name, is_request))
            waiting += self._compare_message(was, now, is_request=is_request)

    def _compare_message(
        self, was: Descriptor, now: Descriptor, *, is_request: bool
    ) -> list[tuple[Descriptor, Descriptor]]:
        """Add the breaks of one message; return the messages in it that are of the same types still."""
        inner: list[tuple[Descriptor, Descriptor]] = []
        for field in was.fields:
            successor = now.fields_by_name.get(field.name) or now.fields_by_number.get(field.number)
            if successor is None:
                self._add(field, "is gone")
                continue
            for text in self._compare_field(field, successor, is_request=is_request):
                self._add(field, text)
            if _type(field) != _type(successor):
                continue
            if field.enum_type is not None and successor.enum_type is not None:
                self._compare_enum(field.enum_type, successor.enum_type)
            if field.message_type is not None and successor.message_type is not None:
                inner.append((field.message_type, successor.message_type))
        if is_request:
            known = {*was.fields_by_name}, {*was.fields_by_number}
            for field in now.fields:
                if field.name not in known[0] and field.number not in known[1] and is_required(field):
                    self._add(field, "is new, and required in requests")
        return inner

    def _compare_field(
        self, was: FieldDescriptor, now: FieldDescriptor, *, is_request: bool
    ) -> Iterator[str]:
        if was.name != now.name:
            yield f'was named "{was.name}", is "{now.name}"'
        elif was.json_name != now.json_name:
            yield f'its JSON name was "{was.json_name}", is "{now.json_name}"'
        if was.number != now.number:
            yield f"its number was {was.number}, is {now.number}"
        if _cardinality(was) != _cardinality(now):
            yield f"was {_cardinality(was)}, is {_cardinality(now)}"
        elif _type(was) != _type(now):
            yield f"its type was {_type(was)}, is {_type(now)}"
        changed = _compare_oneofs(was, now)
        if changed:
            yield changed
        elif _cardinality(was) == _cardinality(now):
            yield from self._compare_presence(was, now)
        if is_request and is_required(now) and not is_required(was):
            yield "is required in requests now"
        # A client that was compiled with the old schema refuses a message without it.
        if not is_request and was.is_required and not now.is_required:
            yield "is not required in responses any more"

    def _compare_presence(self, was: FieldDescriptor, now: FieldDescriptor) -> Iterator[str]:
        if was.has_presence and not now.has_presence:
            yield "was optional: its default value cannot be told from none any more"
        if self._emit_defaults and now.has_presence and not was.has_presence:
            yield "is optional now: responses without it no longer show its default value"

    def _compare_enum(self, was: EnumDescriptor, now: EnumDescriptor) -> None:
        for value in was.values:
            successor = now.values_by_name.get(value.name)
            path = f"{was.full_name}.{value.name}"
            if successor is None:
                other = now.values_by_number.get(value.number)
                self._found[Problem(path, "is gone" if other is None else f'is named "{other.name}" now')] = (
                    None
                )
            elif successor.number != value.number:
                self._found[Problem(path, f"its number was {value.number}, is {successor.number}")] = None

    def _add(self, field: FieldDescriptor, text: str) -> None:
        self._found[Problem(field.full_name, text)] = None

    def __repr__(self) -> str:
        return f"<Messages {len(self._seen)} compared, {len(self._found)} breaks>"


def _compare_oneofs(was: FieldDescriptor, now: FieldDescriptor) -> str:
    """Return how the fields that exclude this one changed, of those that are in both messages; the oneof's name is nobody's."""
    old, new = _oneof(was), _oneof(now)
    if old is None:
        return "" if new is None else f'is in the oneof "{new.name}" now'
    if new is None:
        return f'is not in the oneof "{old.name}" any more'
    lost = _fellows(old, new.containing_type) ^ _fellows(new, old.containing_type)
    if not lost:
        return ""
    return f"is in a oneof with others of before: {', '.join(sorted(lost))}"


def _oneof(field: FieldDescriptor) -> OneofDescriptor | None:
    """Return the oneof that a proto shows; an optional field of proto3 is in one that nobody sees."""
    oneof = field.containing_oneof
    is_hidden = oneof is not None and oneof.name.lstrip("X") == f"_{field.name}" and len(oneof.fields) == 1
    return None if is_hidden else oneof


def _fellows(oneof: OneofDescriptor, message: Descriptor) -> set[str]:
    """Return the members of a oneof that a message has too."""
    return {field.name for field in oneof.fields} & set(message.fields_by_name)


def _cardinality(field: FieldDescriptor) -> str:
    if not field.is_repeated:
        return "one value"
    message = field.message_type
    return "a map" if message is not None and message.GetOptions().map_entry else "a list"


def _type(field: FieldDescriptor) -> str:
    named = field.message_type or field.enum_type
    if named is None:
        return _TYPES[field.type]
    if isinstance(named, Descriptor) and named.GetOptions().map_entry:
        key, value = (_type(named.fields_by_name[name]) for name in ("key", "value"))
        return f"map<{key}, {value}>"
    return f"{_TYPES[field.type]} {named.full_name}"
