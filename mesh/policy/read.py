"""How single values of a policy are read: presence, default, range, each with its problem."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from mesh.policy.problem import Problems


def seconds(
    proto: Message,
    name: str,
    at: Problems,
    *,
    default: float,
    least: float = 0.0,
    most: float = float("inf"),
) -> float:
    """Read a Duration field as seconds; `default` when absent, and as the placeholder of a bad value."""
    if not proto.HasField(name):
        return default
    duration: Duration = getattr(proto, name)
    value = duration.seconds + duration.nanos / 1e9
    return _between(value, at.field(name), default=default, least=least, most=most, unit="s")


def number(
    proto: Message,
    name: str,
    at: Problems,
    *,
    default: float,
    least: float = 0.0,
    most: float = float("inf"),
) -> float:
    """Read an optional number; `default` when absent, and as the placeholder of a bad value."""
    if not proto.HasField(name):
        return default
    value = float(getattr(proto, name))
    return _between(value, at.field(name), default=default, least=least, most=most, unit="")


def whole(
    proto: Message, name: str, at: Problems, *, default: int, least: int = 0, most: float = float("inf")
) -> int:
    """Read an optional integer, as `number` does."""
    return int(number(proto, name, at, default=default, least=least, most=most))


def flag(proto: Message, name: str, *, default: bool) -> bool:
    """Read an optional bool."""
    return bool(getattr(proto, name)) if proto.HasField(name) else default


def _between(value: float, at: Problems, *, default: float, least: float, most: float, unit: str) -> float:
    if least <= value <= most:
        return value
    bounds = f"at least {least:g}{unit}" if most == float("inf") else f"{least:g}{unit} to {most:g}{unit}"
    at.add(f'"{value:g}{unit}" is out of range, must be {bounds}')
    return default
