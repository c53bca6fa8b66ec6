"""Decides how path templates are spelled in OpenAPI, whose parameters are single segments.

A variable of several segments becomes one parameter per wildcard, as in the flat paths of Google's discovery
documents: `/v1/{name=shelves/*/books/*}` is `/v1/shelves/{shelvesId}/books/{booksId}`.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import quote

from gateway.route.template import Kind, Template, Variable

_NOT_A_NAME: Final = re.compile(r"[^A-Za-z0-9_]+")


class Part(NamedTuple):
    """One parameter of a path: a wildcard of the template."""

    name: str
    variable: Variable | None
    """The variable it is, or is part of; None for a wildcard that binds nothing."""
    rest: bool
    """Whether it is `**`, which takes any number of segments."""


class OpenApiPath(NamedTuple):
    """A path template as OpenAPI spells it."""

    pieces: tuple[str, ...]
    """The text around the parameters: one more than there are parameters."""
    parts: tuple[Part, ...]

    def __str__(self) -> str:
        names = [f"{{{part.name}}}" for part in self.parts] + [""]
        return "".join(piece + name for piece, name in zip(self.pieces, names, strict=True))


def read(template: Template) -> OpenApiPath:
    """Return the OpenAPI form of a template."""
    pieces = [""]
    parts: list[Part] = []
    taken: set[str] = set()
    for index, segment in enumerate(template.segments):
        pieces[-1] += "/"
        if segment.kind is Kind.LITERAL:
            pieces[-1] += quote(segment.text, safe="-_.~!$&'()*+,;=@")
            continue
        variable = _covering(template, index)
        name = _unique(_name(template, variable, index), taken)
        parts.append(Part(name, variable, segment.kind is Kind.REST))
        pieces.append("")
    if template.verb:
        pieces[-1] += f":{quote(template.verb)}"
    if not template.segments:
        pieces[-1] = "/"
    return OpenApiPath(tuple(pieces), tuple(parts))


def _covering(template: Template, index: int) -> Variable | None:
    for variable in template.variables:
        if variable.start <= index and (variable.end is None or index < variable.end):
            return variable
    return None


def _name(template: Template, variable: Variable | None, index: int) -> str:
    if variable is not None and not variable.multi:
        # Not joined by dots, though OpenAPI would have them: to what formats its paths they are attributes.
        return "_".join(_json_name(part) for part in variable.path)
    before = template.segments[index - 1] if index else None
    named = before is not None and before.kind is Kind.LITERAL and template.segments[index].kind is Kind.ONE
    # The literal before a wildcard names what it is one of, if it is the same variable's: "shelves/*" a
    # shelf.
    if before is not None and named and (variable is None or index > variable.start):
        return f"{_NOT_A_NAME.sub('_', before.text)}Id"
    return _json_name(variable.path[-1]) if variable is not None else "path"


def _json_name(name: str) -> str:
    """Return a proto name as protoc derives JSON names."""
    return re.sub(r"_+([A-Za-z0-9]?)", lambda joint: joint[1].upper(), name)


def _unique(name: str, taken: set[str]) -> str:
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = f"{name}_{count}"
    taken.add(candidate)
    return candidate
