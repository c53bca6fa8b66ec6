"""Why a message has no JSON form, and where in it the reason lies.

Encoding carries no path: the message at fault is found again, by identity, only when one is needed.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from gateway.codec.fault import join, shown
from gateway.codec.shape import map_entry


class Unencodable(Exception):  # noqa: N818 - says what cannot be done; the rim turns it into a RequestProblem
    """A message that cannot be written as JSON."""

    def __init__(self, message: Any, description: str, path: str = "") -> None:
        super().__init__(description)
        self.message = message
        self.description = description
        self.path = path
        """Where inside `message`, which may be the content of an Any and so in no tree."""


def locate(root: Any, target: Any) -> str | None:
    """Return the path from one message to another inside it, or None where it is not inside."""
    if root is target:
        return ""
    for field, value in root.ListFields():
        if field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE:
            continue
        name = f"[{field.full_name}]" if field.is_extension else field.json_name
        if (pair := map_entry(field)) is not None:
            if pair[1].message_type is None:
                continue
            children = [(f"{name}[{shown(str(key))}]", child) for key, child in value.items()]
        elif field.is_repeated:
            children = [(f"{name}[{index}]", child) for index, child in enumerate(value)]
        else:
            children = [(name, value)]
        for step, child in children:
            if (path := locate(child, target)) is not None:
                return join(step, path)
    return None
