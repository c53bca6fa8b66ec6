"""How important a request is: read from its metadata, handed on to the calls made while handling it."""

from __future__ import annotations

from typing import Final

from mesh.call import Call, Outcome, Priority, Side
from mesh.contract import Stage
from mesh.stage.scope import Scope

KEY: Final = "mesh-priority"
"""The metadata that names it: low, normal or high."""

_LEVELS: Final[dict[str | bytes, Priority]] = {level.name.lower(): level for level in Priority}
_NAMES: Final = tuple(level.name.lower() for level in Priority)


class ReadPriority(Stage):
    """Reads the priority of a request that a server got. A value that is none is as good as no value."""

    __slots__ = ("_default",)

    name = "priority"

    def __init__(self, default: Priority) -> None:
        self._default = default

    def admit(self, call: Call, now: float) -> Outcome | object:  # noqa: ARG002 - the contract's signature
        named = _named(call)
        call.priority = self._default if named is None else named
        return None


class SendPriority(Stage):
    """Sends a request's priority: what the application wrote, else that of the call being handled, else the default."""

    __slots__ = ("_default",)

    name = "priority"

    def __init__(self, default: Priority) -> None:
        self._default = default

    def admit(self, call: Call, now: float) -> Outcome | object:  # noqa: ARG002 - the contract's signature
        named = _named(call)
        if named is not None:
            call.priority = named
            return None
        parent = call.parent
        call.priority = level = self._default if parent is None else parent.priority
        call.outgoing.append((KEY, _NAMES[level]))
        return None


def _named(call: Call) -> Priority | None:
    """Return the priority that the metadata names, the first if there are several."""
    for key, value in call.metadata:
        if key == KEY:
            return _LEVELS.get(value)
    return None


def build(scope: Scope) -> Stage | None:
    policy = scope.policy.priority
    if policy is None:
        return None
    return (SendPriority if scope.side is Side.CLIENT else ReadPriority)(policy.default)


def describe(scope: Scope) -> str:
    default = _NAMES[Priority.NORMAL if scope.policy.priority is None else scope.policy.priority.default]
    if scope.side is Side.CLIENT:
        return f"sends {KEY}: the application's, else that of the call being handled, else {default}"
    return f"reads {KEY}; {default} without"
