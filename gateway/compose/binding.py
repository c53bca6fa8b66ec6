"""How a message is filled: a list of bindings type-checked and compiled into one function of the frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gateway.compose import shape as shapes
from gateway.compose import source as sources
from gateway.compose import target as targets
from gateway.compose.expr import ExpressionError, Literal, Path, parse
from gateway.compose.source import Frame, Root
from gateway.compose.spec import Binding
from gateway.compose.target import Target, Writer
from mesh.policy.problem import Problems, suggest

Build = Callable[[Frame], Message]


class Use(NamedTuple):
    """A field that is filled from a root."""

    field: str
    root: str


class Filling(NamedTuple):
    """The compiled bindings of one message."""

    build: Build
    uses: tuple[Use, ...]


def compile_bindings(
    bindings: Sequence[Binding], message: Descriptor, roots: Mapping[str, Root], place: Problems
) -> Filling:
    """Compile what fills one message; what is wrong goes to `place`, and the filling is then not to be run."""
    filled: list[Target] = []
    writers: list[Writer] = []
    uses: list[Use] = []
    for binding in bindings:
        at = place.key(binding.field)
        try:
            target = targets.find(message, binding.field)
        except ExpressionError as error:
            at.add(str(error))
            continue
        for conflict in filter(None, map(target.conflict, filled)):
            at.add(conflict)
        filled.append(target)
        try:
            parsed = parse(binding.value)
            if isinstance(parsed, Path) and parsed.root in roots:
                uses.append(Use(binding.field, parsed.root))
            writer = _compile_one(target, parsed, roots)
        except ExpressionError as error:
            at.add(str(error))
            continue
        if writer is not None:
            writers.append(writer)
    return Filling(_builder(message, writers), tuple(uses))


def check_sources(bindings: Sequence[Binding], roots: Mapping[str, Root], place: Problems) -> tuple[Use, ...]:
    """Report what is wrong with the expressions alone, where the message they would fill is not known."""
    uses: list[Use] = []
    for binding in bindings:
        try:
            parsed = parse(binding.value)
            # A single unknown word may be the value of an enum.
            if isinstance(parsed, Literal) or (parsed.root not in roots and len(parsed.segments) == 1):
                continue
            if parsed.root in roots:
                uses.append(Use(binding.field, parsed.root))
            sources.resolve(parsed, roots)
        except ExpressionError as error:
            place.key(binding.field).add(str(error))
    return tuple(uses)


def _compile_one(target: Target, parsed: Path | Literal, roots: Mapping[str, Root]) -> Writer | None:
    shape = target.shape
    if isinstance(parsed, Literal):
        misfit = shapes.literal_misfit(parsed.value, shape)
        if misfit:
            raise ExpressionError(misfit)
        return targets.write_literal(target, parsed.value)
    if shape.enum is not None and len(parsed.segments) == 1 and parsed.root not in roots:
        value = shape.enum.values_by_name.get(parsed.root)
        if value is None:
            known = suggest(parsed.root, [*shape.enum.values_by_name, *roots])
            raise ExpressionError(f'"{parsed}" is neither a value of {shape.element()} nor a step{known}')
        if shape.repeated:
            raise ExpressionError(f"a literal cannot be a {shape}")
        return targets.write_literal(target, value.number)
    source = sources.resolve(parsed, roots)
    if source is None:
        return None
    if not shapes.fits(source.shape, shape):
        raise ExpressionError(f'"{parsed}" is {source.shape}, and the field is {shape}')
    return targets.write(target, source)


def _builder(message: Descriptor, writers: Sequence[Writer]) -> Build:
    new, puts = GetMessageClass(message), tuple(writers)

    def build(frame: Frame) -> Message:
        built = new()
        for put in puts:
            put(built, frame)
        return built

    return build
