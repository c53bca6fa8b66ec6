"""How a straight-line Python function is assembled from constants and statements, then compiled.

Text from a descriptor enters the source only as `repr()` of a string or as an identifier checked by `attribute`;
everything else is bound by a name of ours in the function's own namespace.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.descriptor import FieldDescriptor


class Access(NamedTuple):
    """Source that reads a field of the message `m`, and source around a value that assigns it."""

    get: str
    before: str
    after: str

    def put(self, value: str) -> str:
        """Return the statement that assigns `value`."""
        return self.before + value + self.after


class Source:
    """Collect the statements and constants of one function, then `build` it."""

    def __init__(self, signature: str, **namespace: object) -> None:
        self._lines = [f"def function({signature}):"]
        self._namespace: dict[str, Any] = dict(namespace)

    def __repr__(self) -> str:
        return "\n".join(self._lines)

    def add(self, *lines: str, indent: int = 1) -> None:
        """Append statements at an indentation."""
        self._lines += [" " * indent + line for line in lines]

    def constant(self, value: object) -> str:
        """Bind a value and return the name it has in the source."""
        name = f"c{len(self._namespace)}"
        self._namespace[name] = value
        return name

    def link(self, make: Callable[[], Callable[..., Any]]) -> str:
        """Bind a function made at its first use, which is what lets recursive messages compile."""
        name = f"c{len(self._namespace)}"
        namespace = self._namespace

        def first(*arguments: object) -> object:
            namespace[name] = function = make()
            return function(*arguments)

        namespace[name] = first
        return name

    def access(self, field: FieldDescriptor) -> Access:
        """Return the source that reads and assigns a field of the message `m`."""
        if field.is_extension:
            key = f"m.Extensions[{self.constant(field)}]"
            return Access(key, f"{key} = ", "")
        if field.name.isascii() and field.name.isidentifier() and not keyword.iskeyword(field.name):
            return Access(f"m.{field.name}", f"m.{field.name} = ", "")
        return Access(f"getattr(m, {field.name!r})", f"setattr(m, {field.name!r}, ", ")")

    def build(self, title: str) -> Callable[..., Any]:
        """Compile the function; `title` names it in tracebacks and profiles."""
        code = compile("\n".join(self._lines), f"<codec {title}>", "exec")
        exec(code, self._namespace)  # noqa: S102 - no text of a schema is code here, see the module docstring
        function: Callable[..., Any] = self._namespace["function"]
        return function
