"""How a more specific policy overrides a less specific one: field by field, lists replaced."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from mesh.v1 import policy_pb2

M = TypeVar("M", bound=Message)


def builtin() -> policy_pb2.Policy:
    """Return what holds where nobody wrote anything: the sections present here, each with its own defaults."""
    policy = policy_pb2.Policy()
    for section in (
        policy.deadline,
        policy.retry,
        policy.circuit_breaker,
        policy.client_concurrency,
        policy.trace,
        policy.metrics,
        policy.load_report,
    ):
        section.SetInParent()
    return policy


def merge(base: M, *overrides: Message) -> M:
    """Return a copy of `base` with each override laid on top in turn.

    `Message.MergeFrom` would append to lists; a policy's lists replace.
    """
    merged = type(base)()
    merged.CopyFrom(base)
    for override in overrides:
        _overlay(merged, override)
    return merged


def is_leaf(field: FieldDescriptor) -> bool:
    """Whether the field has one value, which is written and overridden as a whole: a duration is, a section is not."""
    kind = field.message_type
    return kind is None or kind.full_name.startswith("google.protobuf.")


def _overlay(target: Message, override: Message) -> None:
    for field, value in override.ListFields():
        if field.is_repeated:
            target.ClearField(field.name)
            getattr(target, field.name).extend(value)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            own = getattr(target, field.name)
            own.SetInParent()
            if is_leaf(field):
                own.CopyFrom(value)
            else:
                _overlay(own, value)
        else:
            setattr(target, field.name, value)
