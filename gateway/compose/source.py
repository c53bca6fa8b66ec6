"""What value an expression has: paths resolved against descriptors, compiled to readers of messages.

A reader takes the path's root (the request, a step's result, an item) and returns the value, or None when it
is absent: a field on the path that tracks presence is unset. Protobuf values are never None.
"""

from __future__ import annotations

import dataclasses
import itertools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from gateway.compose import shape as shapes
from gateway.compose.expr import ExpressionError, Path, Segment
from gateway.compose.shape import Shape
from mesh.policy.problem import suggest

Frame = Sequence[Any]
"""What a run knows: the request, then each step's result (None: not there), then the item of a fan-out."""

Reader = Callable[[Any], Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Root:
    """A name that expressions may start with."""

    slot: int
    """Where its value is in the frame."""
    shape: Shape | None
    """None when it is unknown, because of a problem that is reported elsewhere."""


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A compiled path."""

    slot: int
    shape: Shape
    read: Reader
    plain: Reader
    """The same without looking for messages that are unset: for a target that cannot tell 0 from absent."""


def resolve(path: Path, roots: Mapping[str, Root]) -> Source | None:
    """Compile the path; raise ExpressionError when it leads nowhere; None when its root's shape is unknown."""
    root = roots.get(path.root)
    if root is None:
        raise ExpressionError(f'unknown name "{path.root}"{suggest(path.root, roots)}')
    if root.shape is None:
        return None
    levels, shape = _walk(path, root.shape)
    if len(levels) == 1:
        return Source(root.slot, shape, *_readers(levels[0]))
    if shape.map:
        raise ExpressionError(f'"{path}" would be a list of maps')
    return Source(root.slot, shape.list(), *(_projection(levels, flatten=shape.repeated),) * 2)


def _walk(path: Path, shape: Shape) -> tuple[list[list[FieldDescriptor]], Shape]:
    """Return the fields on the path, cut after each `[]`, and the shape of what they lead to."""
    levels: list[list[FieldDescriptor]] = [[]]
    for index, segment in enumerate(path.segments):
        so_far = str(Path((*path.segments[:index], Segment(segment.name))))
        if index:
            field = _step(shape, str(Path(path.segments[:index])), segment.name)
            levels[-1].append(field)
            shape = shapes.of_field(field)
        if segment.each:
            if not shape.repeated:
                raise ExpressionError(f'"{so_far}" is {shape}, not a list: remove the "[]"')
            shape = shape.element()
            levels.append([])
    if len(levels) > 1 and not levels[-1]:  # a closing [] says what is so without it
        levels.pop()
        shape = shape.list()
    return levels, shape


def _step(shape: Shape, so_far: str, name: str) -> FieldDescriptor:
    if shape.repeated:
        raise ExpressionError(f'"{so_far}" is a list: write "{so_far}[].{name}" to take "{name}" of each')
    if shape.map:
        raise ExpressionError(f'"{so_far}" is a map: it can only be assigned whole')
    if shape.message is None:
        raise ExpressionError(f'"{so_far}" is {shape}: it has no field "{name}"')
    field = shape.message.fields_by_name.get(name)
    if field is None:
        known = suggest(name, shape.message.fields_by_name)
        raise ExpressionError(f'{shape.message.full_name} has no field "{name}"{known}')
    return field


def _getter(fields: Sequence[FieldDescriptor]) -> Reader:
    return operator.attrgetter(".".join(field.name for field in fields)) if fields else _itself


def _itself(root: Any) -> Any:
    return root


def _readers(fields: Sequence[FieldDescriptor]) -> tuple[Reader, Reader]:
    """Return the reader and the plain reader of a path through no list."""
    get = _getter(fields)
    deepest = max((index for index, field in enumerate(fields) if field.has_presence), default=None)
    if deepest is None:
        return get, get
    # A message that is unset has no field set either, so the deepest field answers for those above it.
    holder, name = _getter(fields[:deepest]), fields[deepest].name

    def read(root: Any) -> Any:
        return get(root) if holder(root).HasField(name) else None

    return read, read if fields[-1].has_presence else get


def _projection(levels: Sequence[Sequence[FieldDescriptor]], *, flatten: bool) -> Reader:
    """Return a reader of the last level's field, of every element of the lists that the levels before give."""
    read = _getter(levels[0])
    for fields in levels[1:-1]:
        read = _flat(read, _getter(fields))
    each = _getter(levels[-1])
    return _flat(read, each) if flatten else _mapped(read, each)


def _mapped(elements: Reader, each: Reader) -> Reader:
    return lambda root: list(map(each, elements(root)))


def _flat(elements: Reader, each: Reader) -> Reader:
    return lambda root: list(itertools.chain.from_iterable(map(each, elements(root))))
