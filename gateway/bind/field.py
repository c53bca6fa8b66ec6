"""Decides which field a query parameter or path variable means, and how its value gets there.

Descriptors are walked when a binding is compiled: every name a client is likely to use is resolved once.
Names that cannot be listed ahead (map keys, recursive messages, mixtures of the two spellings) are resolved
when they come.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.bind.text import explain, text_of
from gateway.codec.fault import SHOWN_LENGTH, shown, step, suggestion
from gateway.codec.option import DEPTH_LIMIT
from gateway.codec.scalar import key_reader
from gateway.codec.shape import in_choice, map_entry
from gateway.schema.kind import is_textual, json_path, message_of

_LISTED_DEPTH: Final = 3
_LISTED_NAMES: Final = 512
_DOTTED: Final = re.compile(r"\w+(\.\w+)*(\[\w+\])?", re.ASCII)

Assign = Callable[[Any, Any], None]
"""Puts a value into the message that holds the field."""


class ParameterError(LookupError):
    """A query parameter that names no field."""


class MisuseError(ParameterError):
    """A query parameter that names a field, and cannot set it: never mistaken for one of somebody else's."""


class Target:
    """A field of the request, resolved: where text for it goes."""

    __slots__ = ("_assign", "_expected", "_oneofs", "_parents", "_read", "fields", "many", "path")

    def __init__(self, fields: Sequence[FieldDescriptor], key: object = None) -> None:
        self.fields = tuple(fields)
        """From the request message to the field."""
        self.path = json_path(fields)
        """As violations name it."""
        last = fields[-1]
        entry = map_entry(last)
        self.many = last.is_repeated and entry is None
        """Whether it may be given more than once."""
        self._parents = tuple(field.name for field in fields[:-1])
        if entry is None:
            self._read, self._expected = text_of(last)
            self._assign = _assign(last)
        else:
            self.path += f"[{shown(key)}]"
            self._read, self._expected = text_of(entry[1])
            self._assign = _assign_entry(last.name, key, entry[1])
        self._oneofs = tuple(
            (position, field.containing_oneof.name, field.name)
            for position, field in enumerate(fields)
            if field.containing_oneof is not None and in_choice(field)
        )

    def put(self, message: Message, text: str) -> str:
        """Read text into the field; return what is wrong with it, else nothing."""
        try:
            value = self._read(text)
        except ValueError as error:
            return explain(text, self._expected, error)
        holder: Any = message
        if self._oneofs and (taken := self._taken(message)):
            return taken
        for name in self._parents:
            holder = getattr(holder, name)
        self._assign(holder, value)
        return ""

    def disagrees(self, message: Message, text: str, wrong: str) -> str:
        """Return `wrong` unless text says what the field holds already."""
        try:
            value = self._read(text)
        except ValueError as error:
            return explain(text, self._expected, error)
        return "" if value == self._value(message) else wrong

    def is_set(self, message: Message) -> bool:
        """Whether the field holds something other than nothing."""
        holder: Any = message
        for name in self._parents:
            if not holder.HasField(name):
                return False
            holder = getattr(holder, name)
        field = self.fields[-1]
        return bool(holder.HasField(field.name) if field.has_presence else getattr(holder, field.name))

    def _value(self, message: Message) -> Any:
        value: Any = message
        for field in self.fields:
            value = getattr(value, field.name)
        return value

    def _taken(self, message: Message) -> str:
        holder: Any = message
        for position, field in enumerate(self.fields):
            for place, oneof, name in self._oneofs:
                if place == position and (other := holder.WhichOneof(oneof)) not in {None, name}:
                    given = holder.DESCRIPTOR.fields_by_name[other].json_name
                    return f'"{given}" is given too, and at most one field of oneof "{oneof}" may be'
            holder = getattr(holder, field.name)
        return ""

    def __repr__(self) -> str:
        return f"<Target {self.path}>"


class Names:
    """The query parameters of one request message, by every name they may be given."""

    __slots__ = ("_by_type", "_listed", "_root", "_withheld")

    def __init__(self, root: Descriptor, body: str) -> None:
        self._root = root
        self._withheld = body
        self._by_type: dict[str, dict[str, FieldDescriptor]] = {}
        self._listed: dict[str, Target] = {}
        for fields in leaves(root, depth=_LISTED_DEPTH):
            if fields[0].name != body and map_entry(fields[-1]) is None:
                target = Target(fields)
                self._listed[".".join(field.name for field in fields)] = target
                self._listed[target.path] = target
            if len(self._listed) >= _LISTED_NAMES:
                break

    def find(self, name: str) -> Target:
        """Return the target of a query parameter; raise ParameterError saying why there is none."""
        return self._listed.get(name) or self._walk(name)

    def way(self, name: str) -> tuple[FieldDescriptor, ...]:
        """Return the fields along a dotted name in either spelling, the last of any type; raise ParameterError."""
        parts = name.split(".")
        if len(parts) > DEPTH_LIMIT:
            raise MisuseError("nested too deeply")
        fields: list[FieldDescriptor] = []
        descriptor = self._root
        for part in parts:
            if fields:
                descriptor = _inside(fields[-1])
            fields.append(self._field(descriptor, part))
        return tuple(fields)

    def _walk(self, name: str) -> Target:
        path, bracket, rest = name.partition("[")
        fields = self.way(path)
        if fields[0].name == self._withheld:
            raise MisuseError("belongs in the body")
        last = fields[-1]
        if (entry := map_entry(last)) is not None:
            return _entry(fields, entry, rest, given=bool(bracket))
        if bracket:
            raise MisuseError(f'"{last.json_name}" is not a map')
        if not is_textual(last):
            raise MisuseError(_refusal(last))
        return Target(fields)

    def _field(self, descriptor: Descriptor, part: str) -> FieldDescriptor:
        names = self._by_type.get(descriptor.full_name)
        if names is None:
            names = {field.name: field for field in descriptor.fields}
            names.update((field.json_name, field) for field in descriptor.fields)
            self._by_type[descriptor.full_name] = names
        field = names.get(part)
        if field is None:
            known = [field.json_name for field in descriptor.fields]
            raise ParameterError(
                f"{descriptor.full_name} has no field {shown(part)}{suggestion(part, known)}"
            )
        return field

    def __repr__(self) -> str:
        return f"<Names of {self._root.full_name}: {len(self._listed)} listed>"


def printed_name(name: str) -> str:
    """Return a name that the client chose as a violation's path."""
    return name if len(name) <= SHOWN_LENGTH and _DOTTED.fullmatch(name) else step(name)


def leaves(
    descriptor: Descriptor, above: tuple[FieldDescriptor, ...] = (), *, depth: int
) -> Iterator[tuple[FieldDescriptor, ...]]:
    """Yield the fields that a query can carry, each with the way to it.

    A message is not entered again inside itself, nor one deeper than `depth`: what lies there can be given
    all the same.
    """
    entered = {message_of(field).full_name for field in above}
    for field in descriptor.fields:
        entry = map_entry(field)
        if is_textual(field if entry is None else entry[1]):
            yield (*above, field)
        elif not field.is_repeated and depth > 1 and message_of(field).full_name not in entered:
            yield from leaves(message_of(field), (*above, field), depth=depth - 1)


def _inside(field: FieldDescriptor) -> Descriptor:
    if field.message_type is None or field.is_repeated or is_textual(field):
        raise MisuseError(f'"{field.json_name}" has no fields to name')
    return message_of(field)


def _refusal(field: FieldDescriptor) -> str:
    if field.is_repeated:
        # "Repeated message fields must not be mapped to URL query parameters, because no client library can
        # support such complicated mapping." - google/api/http.proto
        return "a repeated message cannot be given in a query"
    example = next(iter(message_of(field).fields), None)
    hint = f', such as "{field.json_name}.{example.json_name}"' if example else ""
    return f"is a message: give its fields{hint}"


def _entry(
    fields: Sequence[FieldDescriptor],
    entry: tuple[FieldDescriptor, FieldDescriptor],
    rest: str,
    *,
    given: bool,
) -> Target:
    field = fields[-1]
    if not given or not rest.endswith("]"):
        raise MisuseError(f'is a map: give its entries as "{field.json_name}[key]"')
    key_field, value_field = entry
    if not is_textual(value_field):
        raise MisuseError("a map of messages cannot be given in a query")
    text = rest[:-1]
    leaf = key_reader(key_field)
    try:
        key = leaf.read(text)
    except ValueError as error:
        raise MisuseError(explain(text, f"a key that is {leaf.expected}", error)) from None
    return Target(fields, key)


def _assign(field: FieldDescriptor) -> Assign:
    name = field.name
    if field.is_repeated:
        # Both kinds of repeated field have append; that of messages copies.
        return lambda holder, value: getattr(holder, name).append(value)
    if field.message_type is not None:
        return lambda holder, value: getattr(holder, name).CopyFrom(value)
    return lambda holder, value: setattr(holder, name, value)


def _assign_entry(name: str, key: object, value_field: FieldDescriptor) -> Assign:
    if value_field.message_type is not None:
        return lambda holder, value: getattr(holder, name)[key].CopyFrom(value)

    def put(holder: Any, value: Any) -> None:
        getattr(holder, name)[key] = value

    return put
