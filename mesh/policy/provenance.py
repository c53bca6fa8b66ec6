"""Where each field of a method's effective policy comes from: who wrote it, and what that is written over.

The same layers as PolicyTable merges, kept apart. What nobody wrote has its built-in value, which is taken from what the
policy's readers make of it, and so cannot differ from what is enforced.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from google.protobuf import json_format
from google.protobuf.message import Message

from mesh.policy.annotation import Annotation
from mesh.policy.connection import ConnectionPolicy
from mesh.policy.deadline import UNARY_TIMEOUT
from mesh.policy.merge import builtin, is_leaf, merge
from mesh.policy.policy import Policy
from mesh.policy.problem import Problems
from mesh.v1 import config_pb2, policy_pb2

Field: TypeAlias = Any
"""A FieldDescriptor; upb's are of a class of their own."""
Path: TypeAlias = tuple[Field, ...]

_CONNECTION: Final = "connection"
_SAID: Final = {"deadline.default_timeout": f"{UNARY_TIMEOUT:g}s, none for a stream of answers"}
"""Built-in values that depend on more than the policy."""
_MISSING: Final = object()


class Layer(NamedTuple):
    """One place where a policy may be written."""

    name: str
    """What a person calls it: `service option`, `method option`, `defaults`, `service`, `method`."""
    path: str
    """Where it is: in the file, or the full name of the proto's element."""
    policy: policy_pb2.Policy


class Origin(NamedTuple):
    """One field of the effective policy."""

    field: str
    """Such as `retry.backoff.base`."""
    value: str
    winner: Layer | None
    """Who wrote it; None: the value is built in."""
    over: tuple[tuple[Layer, str], ...] = ()
    """Who wrote it too, and what, the most specific first."""


class Provenance(NamedTuple):
    """All that can be said of a method's policy."""

    origins: tuple[Origin, ...]
    absent: tuple[str, ...]
    """Sections that nobody wrote and that are not built in."""


def layers(policies: config_pb2.Policies, noted: Annotation, method: str) -> tuple[Layer, ...]:
    """Return the layers of `/package.Service/Method`, the least specific first."""
    service, _, name = method.lstrip("/").partition("/")
    found = [
        Layer("service option", service, noted.service),
        Layer("method option", f"{service}.{name}", noted.method),
        Layer("defaults", "policies.defaults", policies.defaults),
    ]
    for index, entry in enumerate(policies.services):
        if entry.service == service:
            path = f"policies.services[{index}]"
            found.append(Layer("service", f"{path}.policy", entry.policy))
            found += [
                Layer("method", f"{path}.methods[{number}].policy", own.policy)
                for number, own in enumerate(entry.methods)
                if own.method == name
            ]
    return tuple(found)


def trace(layers: Sequence[Layer], *, idempotent: bool) -> Provenance:
    """Return every field of what the layers make together, with its origin."""
    merged = merge(builtin(), *(layer.policy for layer in layers))
    read = _Reader(merged, idempotent)
    origins: list[Origin] = []
    absent: list[str] = []
    for section in _fields(merged):
        if section.is_repeated:
            if getattr(merged, section.name):
                origins.append(_written(layers, (section,)) or Origin(section.name, "", None))
        elif not _has(merged, section.name) and section.name != _CONNECTION:
            absent.append(section.name)
        else:
            origins += _section(layers, merged, section, read)
    return Provenance(tuple(origins), tuple(absent))


def _section(
    layers: Sequence[Layer], merged: policy_pb2.Policy, section: Field, read: _Reader
) -> Iterator[Origin]:
    content = getattr(merged, section.name)
    if "enabled" in content.DESCRIPTOR.fields_by_name:
        switch = (section, content.DESCRIPTOR.fields_by_name["enabled"])
        first = next((layer for layer in layers if _has(layer.policy, section.name)), None)
        # A section is switched on by whoever writes anything in it, unless it is built in.
        brought = None if _has(builtin(), section.name) else first
        yield _written(layers, switch) or Origin(_dotted(switch), "true", brought)
        if content.HasField("enabled") and not content.enabled:
            return
    for path in _leaves(content, (section,), read):
        found = _written(layers, path)
        if found is not None:
            yield found
        elif len(_rivals(path[-1])) == 1:
            yield Origin(_dotted(path), read.builtin(path), None)


def _leaves(message: Message, above: Path, read: _Reader) -> Iterator[Path]:
    """Yield every field down to single values, but for the switch of the whole and for parts that are off."""
    for field in _fields(message):
        path = (*above, field)
        if is_leaf(field) or field.is_repeated:
            if field.name != "enabled":
                yield path
            continue
        inner = getattr(message, field.name)
        switch = inner.DESCRIPTOR.fields_by_name.get("enabled")
        if switch is None:
            yield from _leaves(inner, path, read)
        elif _has(message, field.name) or read.is_on(path):
            yield (*path, switch)
            if inner.enabled or not _has(inner, "enabled"):
                yield from _leaves(inner, path, read)


def _fields(message: Message) -> Sequence[Field]:
    return message.DESCRIPTOR.fields


def _has(message: Any, name: str) -> bool:
    """Whether a field is written; typed stubs know only the literal names of each message."""
    return bool(message.HasField(name))


def _written(layers: Sequence[Layer], path: Path) -> Origin | None:
    """Return who wrote a field last, and over whom; None when nobody did, or when it lost to another of its oneof."""
    found: list[tuple[Layer, Field, str]] = []
    for layer in reversed(layers):
        inner: Message = layer.policy
        for field in path[:-1]:
            inner = getattr(inner, field.name)
        rivals = _rivals(path[-1])
        found += [
            (layer, field, _shown(field, value))
            for field, value in inner.ListFields()
            if field.name in rivals
        ]
    if not found or found[0][1].name != path[-1].name:
        return None
    (winner, _, value), *rest = found
    over = tuple(
        (layer, text if field.name == path[-1].name else f"{field.name} {text}")
        for layer, field, text in rest
    )
    return Origin(_dotted(path), value, winner, over)


def _rivals(field: Field) -> frozenset[str]:
    oneof = field.containing_oneof
    return frozenset((field.name,)) if oneof is None else frozenset(each.name for each in oneof.fields)


def _dotted(path: Path) -> str:
    return ".".join(field.name for field in path)


def _shown(field: Field, value: Any) -> str:
    """Return a value as a person would write it in a file."""
    if field.is_repeated:
        return f"[{', '.join(_one(field, item) for item in value)}]"
    return _one(field, value)


def _one(field: Field, value: Any) -> str:
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return str(value) if known is None else str(known.name)
    if isinstance(value, Message):
        if field.message_type.full_name == "google.protobuf.Duration":
            return f"{value.seconds + value.nanos / 1e9:g}s"  # type: ignore[attr-defined]  # a Duration
        return json_format.MessageToJson(value, indent=None, preserving_proto_field_name=True)
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


class _Reader:
    """What the readers of the policy make of it where nobody wrote anything."""

    def __init__(self, merged: policy_pb2.Policy, idempotent: bool) -> None:  # noqa: FBT001 - private
        self._merged = merged
        self._idempotent = idempotent
        self._policy = self._read(merged)

    def _read(self, proto: policy_pb2.Policy) -> tuple[Policy, ConnectionPolicy]:
        # Its problems are `load`'s business; what has any is not explained.
        at = Problems()
        return Policy.read(proto, at, idempotent=self._idempotent), ConnectionPolicy.read(
            proto.connection, at
        )

    def builtin(self, path: Path) -> str:
        """Return the value of a field that nobody wrote, as it is enforced."""
        field = path[-1]
        if field.enum_type is not None and not field.is_repeated:
            return self._choice(path)
        if _dotted(path) in _SAID:
            return _SAID[_dotted(path)]
        if field.name == "enabled":
            return "true"  # it would not be asked for otherwise
        value = self._value(path)
        return "none" if value is _MISSING else _rendered(field, value)

    def is_on(self, path: Path) -> bool:
        """Whether a part that nobody wrote is there all the same."""
        value = self._value(path)
        return value is not None and value is not _MISSING

    def _value(self, path: Path) -> Any:
        policy, connection = self._policy
        section: Any = connection if path[0].name == _CONNECTION else getattr(policy, path[0].name, None)
        value: Any = _MISSING
        for names in (path[1:], path[-1:]):  # a dataclass may be flatter than its message
            value = section
            for name in (each.name for each in names):
                value = getattr(value, name, _MISSING)
            if value is not _MISSING:
                break
        return value

    def _choice(self, path: Path) -> str:
        """Return the value of an enum that changes nothing."""
        named = [value for value in path[-1].enum_type.values if value.number]  # 0 is unspecified
        same = (str(value.name) for value in named if self._with(path, value.number) == self._policy)
        return next(same, "none")

    def _with(self, path: Path, value: int) -> tuple[Policy, ConnectionPolicy]:
        """Read the policy with another value in one place."""
        tried = policy_pb2.Policy()
        tried.CopyFrom(self._merged)
        inner: Message = tried
        for field in path[:-1]:
            inner = getattr(inner, field.name)
        setattr(inner, path[-1].name, value)
        return self._read(tried)


def _rendered(field: Field, value: Any) -> str:
    if value is None or dataclasses.is_dataclass(value):
        return "none"
    if isinstance(value, frozenset | tuple | list):
        return f"[{', '.join(_one(field, item) for item in sorted(value))}]" if value else "[]"
    text = _plain(value)
    is_duration = (
        field.message_type is not None and field.message_type.full_name == "google.protobuf.Duration"
    )
    return f"{text}s" if is_duration else text
