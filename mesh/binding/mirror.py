"""Where copies of requests go: the channels and methods of their targets, opened when the first copy goes there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from mesh.stage.copier import Copy

_log = logging.getLogger("mesh")


class Mirrors:
    """The targets that the copies of one channel's calls go to."""

    __slots__ = ("_invoke", "_open", "_reported", "channels")

    def __init__(self, open_target: Callable[[str], Any]) -> None:
        self._open = open_target
        self._invoke: dict[tuple[str, str], Any] = {}
        self._reported: set[tuple[str, str]] = set()
        self.channels: dict[str, Any] = {}
        """By target."""

    def method(self, copy: Copy) -> Any:
        """Return grpc's multicallable of a copy's method; raise whatever opening its target raises."""
        key = copy.target, copy.method
        invoke = self._invoke.get(key)
        if invoke is None:
            channel = self.channels.get(copy.target)
            if channel is None:
                channel = self.channels[copy.target] = self._open(copy.target)
            invoke = self._invoke[key] = getattr(channel, copy.arity.value)(copy.method)
        return invoke

    def report(self, copy: Copy, error: Exception) -> None:
        """Say once that a method cannot be copied."""
        key = copy.target, copy.method
        if key not in self._reported:
            self._reported.add(key)
            _log.warning("%s cannot be copied to %s: %s", copy.method, copy.target, error)

    def __repr__(self) -> str:
        return f"<Mirrors {sorted(self.channels)}>"


def wire_form(message: Any) -> bytes:
    """Return a request as bytes; raise TypeError for one that only its own serializer understands."""
    if isinstance(message, bytes):
        return message
    serialize = getattr(message, "SerializeToString", None)
    if serialize is None:
        raise TypeError(f"{type(message).__name__} is neither bytes nor a protobuf message")
    return bytes(serialize())
