"""Where a value goes: field paths of a message resolved against its descriptor, compiled to writers."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.compose import shape as shapes
from gateway.compose.expr import ExpressionError
from gateway.compose.shape import Shape
from gateway.compose.source import Frame, Reader, Source
from mesh.policy.problem import suggest

Writer = Callable[[Message, Frame], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A field to fill."""

    path: str
    fields: tuple[FieldDescriptor, ...]

    @property
    def shape(self) -> Shape:
        return shapes.of_field(self.fields[-1])

    def conflict(self, other: Target) -> str:
        """Return why both targets cannot be filled in one message; empty when they can."""
        if self.path == other.path:
            return "is filled twice"
        for inner, outer in ((self, other), (other, self)):
            if inner.fields[: len(outer.fields)] == outer.fields:
                return f'conflicts with "{other.path}": "{inner.path}" is inside "{outer.path}"'
        for ours, theirs in zip(self.fields, other.fields, strict=False):
            if ours != theirs:
                oneof = ours.containing_oneof
                if oneof is not None and oneof == theirs.containing_oneof:
                    return f'conflicts with "{other.path}": both are in the oneof "{oneof.name}"'
                break
        return ""


def find(message: Descriptor, path: str) -> Target:
    """Resolve a field path; raise ExpressionError when it leads nowhere."""
    return Target(path, tuple(_fields(message, path)))


def _fields(message: Descriptor, path: str) -> Iterator[FieldDescriptor]:
    current: Descriptor | None = message
    so_far = ""
    for name in path.split("."):
        if current is None:
            raise ExpressionError(f'"{so_far}" is no single message: "{name}" of it cannot be filled')
        field = current.fields_by_name.get(name)
        if field is None:
            raise ExpressionError(
                f'{current.full_name} has no field "{name}"{suggest(name, current.fields_by_name)}'
            )
        yield field
        so_far = f"{so_far}.{name}" if so_far else name
        current = None if field.is_repeated else field.message_type


def write_literal(target: Target, value: Any) -> Writer:
    """Compile the assignment of a constant."""
    name = target.fields[-1].name

    def put(message: Message, _frame: Frame) -> None:
        setattr(message, name, value)

    return _within(target, put)


def write(target: Target, source: Source) -> Writer:
    """Compile the assignment of a path's value; the field is left alone when there is no value."""
    shape, field = target.shape, target.fields[-1]
    # A default that is written to a top-level field without presence changes nothing.
    tells_absence = field.has_presence or len(target.fields) > 1
    read = source.read if tells_absence else source.plain
    if shape.map:
        put = _put_map(field.name, source.slot, read)
    elif shape.repeated:
        put = _put_list(field.name, source.slot, read)
    elif shape.message is not None:
        put = _put_message(field.name, source.slot, read)
    else:
        put = _put_scalar(field.name, source.slot, read)
    return _within(target, put)


def _within(target: Target, put: Writer) -> Writer:
    if len(target.fields) == 1:
        return put
    # Reading an unset message creates nothing; filling a field of it does.
    holder = operator.attrgetter(".".join(field.name for field in target.fields[:-1]))

    def put_within(message: Message, frame: Frame) -> None:
        put(holder(message), frame)

    return put_within


def _put_scalar(name: str, slot: int, read: Reader) -> Writer:
    def put(message: Message, frame: Frame) -> None:
        root = frame[slot]
        if root is not None:
            value = read(root)
            if value is not None:
                setattr(message, name, value)

    return put


def _put_message(name: str, slot: int, read: Reader) -> Writer:
    def put(message: Message, frame: Frame) -> None:
        root = frame[slot]
        if root is not None:
            value = read(root)
            if value is not None:
                getattr(message, name).CopyFrom(value)

    return put


def _put_list(name: str, slot: int, read: Reader) -> Writer:
    def put(message: Message, frame: Frame) -> None:
        root = frame[slot]
        if root is not None:
            values = read(root)
            if values:  # extending by nothing would create the message around the field
                getattr(message, name).extend(values)

    return put


def _put_map(name: str, slot: int, read: Reader) -> Writer:
    def put(message: Message, frame: Frame) -> None:
        root = frame[slot]
        if root is not None:
            entries = read(root)
            if entries:
                getattr(message, name).MergeFrom(entries)

    return put
