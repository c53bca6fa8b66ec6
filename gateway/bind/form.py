"""Decides what the named texts of a form mean: fields of one message, named and read as query parameters are."""

from __future__ import annotations

import functools
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.bind import content, query
from gateway.bind.field import MisuseError, Names, ParameterError, printed_name
from gateway.codec.fault import join
from gateway.problem import VIOLATIONS_SHOWN, Violation, refuse

MOST_FIELDS: Final = 1000
"""Fields in one form. A body is longer than a query, and telling a misspelt name from a known one takes time."""


class Form:
    """The fields of a message type by the names a form may give them; they are listed when the first form comes."""

    def __init__(self, descriptor: Descriptor, *, prefix: str = "", ignore_unknown: bool = False) -> None:
        self._descriptor = descriptor
        self._ignore_unknown = ignore_unknown
        self.prefix = prefix
        """The path of the message within the request, for violations."""

    @functools.cached_property
    def _names(self) -> Names:
        return Names(self._descriptor, "")

    def way(self, name: str) -> tuple[FieldDescriptor, ...]:
        """Return the fields that lead to what `name` names, of whatever type; raise ParameterError for nothing."""
        return self._names.way(name)

    def violation(self, name: str, error: ParameterError) -> Violation | None:
        """Return what is said of a name that means nothing here; None where such names are let pass."""
        if self._ignore_unknown and not isinstance(error, MisuseError):
            return None
        return Violation(join(self.prefix, printed_name(name)), str(error))

    def put(self, message: Message, name: str, text: str, given: set[str]) -> Violation | None:
        """Put a text into a field of `message`, unless it is `given` already; return what is wrong with it."""
        try:
            target = self._names.find(name)
        except ParameterError as error:
            return self.violation(name, error)
        if target.path in given and not target.many:
            wrong = "is given more than once"
        else:
            given.add(target.path)
            wrong = target.put(message, text)
        return Violation(join(self.prefix, target.path), wrong) if wrong else None

    def read(self, message: Message, body: bytes, content_type: str) -> None:
        """Read a URL-encoded form into `message`; raise RequestProblem with every violation."""
        content.check_charset(content_type)
        violations: list[Violation] = []
        if body.count(b"&") >= MOST_FIELDS:
            raise refuse(
                [Violation(self.prefix, f"a form may have {MOST_FIELDS} fields, and this one has more")]
            )
        given: set[str] = set()
        for name, text in query.read(body, violations):
            if violation := self.put(message, name, text, given):
                violations.append(violation)
                if len(violations) > VIOLATIONS_SHOWN:
                    break
        if violations:
            raise refuse(violations)

    def __repr__(self) -> str:
        return f"<Form of {self._descriptor.full_name}>"
