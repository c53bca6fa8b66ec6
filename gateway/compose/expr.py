r"""What an expression of a composition says: its grammar, and the syntax tree that parsing gives.

    expression = path / text / number / "true" / "false"
    path       = name ["[]"] *("." name ["[]"])     ; request.id   catalog   recommend.products[].id
    text       = '"' ... '"' / "'" ... "'"          ; escapes: \" \' \\ \n \t
    number     = ["-"] digits ["." digits] [exponent]

What the names mean is decided against descriptors (`source`), not here: a path of one name may turn out to
be a step, or a value of the enum that it is assigned to.
"""

from __future__ import annotations

import dataclasses
import math
import re

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TEXT = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'", re.DOTALL)
_INTEGER = re.compile(r"-?[0-9]{1,20}")  # as many digits as 2**64 has
_FLOAT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {'"': '"', "'": "'", "\\": "\\", "n": "\n", "t": "\t"}


class ExpressionError(ValueError):
    """The text is not an expression."""


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """One name of a path."""

    name: str
    each: bool = False
    """`[]` follows: what comes after is taken of every element."""

    def __str__(self) -> str:
        return f"{self.name}[]" if self.each else self.name


@dataclasses.dataclass(frozen=True, slots=True)
class Path:
    """A value to look up; the first segment is the request, a step or an item."""

    segments: tuple[Segment, ...]

    @property
    def root(self) -> str:
        return self.segments[0].name

    def __str__(self) -> str:
        return ".".join(map(str, self.segments))


@dataclasses.dataclass(frozen=True, slots=True)
class Literal:
    """A value written out."""

    value: str | int | float | bool


def parse(text: str) -> Path | Literal:
    """Parse one expression; raise ExpressionError, with the column, when it is not one."""
    source = text.strip()
    if not source:
        raise ExpressionError('is empty: write a path such as "request.id", or a literal')
    if source in {"true", "false"}:
        return Literal(source == "true")
    if source[0] in "\"'":
        return _parse_text(source)
    if source[0] in "-0123456789":
        return _parse_number(source)
    return _parse_path(source)


def _parse_text(source: str) -> Literal:
    match = _TEXT.fullmatch(source)
    if match is None:
        raise ExpressionError(f"{source} is not one closed string")
    body = match[1] if match[1] is not None else match[2]
    for escape in _ESCAPE.finditer(body):
        if escape[1] not in _ESCAPES:
            raise ExpressionError(
                f"{source} has the unknown escape \\{escape[1]}; known are \\\" \\' \\\\ \\n \\t"
            )
    return Literal(_ESCAPE.sub(lambda escape: _ESCAPES[escape[1]], body))


def _parse_number(source: str) -> Literal:
    if _INTEGER.fullmatch(source):
        return Literal(int(source))
    if _FLOAT.fullmatch(source):
        value = float(source)
        if math.isinf(value):
            raise ExpressionError(f"{source} is out of the range of double")
        return Literal(value)
    raise ExpressionError(f'"{source}" is not a number')


def _parse_path(source: str) -> Path:
    segments = []
    at = 0
    while True:
        match = _NAME.match(source, at)
        if match is None:
            raise ExpressionError(f'"{source}" has no name at column {at + 1}')
        at = match.end()
        each = source.startswith("[]", at)
        at += 2 * each
        segments.append(Segment(match[0], each))
        if at == len(source):
            return Path(tuple(segments))
        if source[at] != ".":
            raise ExpressionError(f'"{source}" has an unexpected {source[at]!r} at column {at + 1}')
        at += 1
