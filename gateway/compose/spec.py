"""What a composition says, as read from the `gateway.v1.compose` option: frozen values, nothing resolved yet."""

from __future__ import annotations

import dataclasses

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import MethodDescriptor

from gateway.v1 import annotations_pb2

DEFAULT_ITEM = "item"


@dataclasses.dataclass(frozen=True, slots=True)
class Binding:
    """Fill `field`, a path from the message, with the value of an expression."""

    field: str
    value: str


@dataclasses.dataclass(frozen=True, slots=True)
class ForEach:
    """Call once per item of the list `over`."""

    over: str
    variable: str
    """What the request bindings call the item."""
    max_concurrency: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One backend RPC of a composition."""

    name: str
    call: str
    """`package.Service/Method`."""
    request: tuple[Binding, ...] = ()
    optional: bool = False
    for_each: ForEach | None = None
    timeout: float | None = None
    """Seconds; None: what the policy of the called method says."""


@dataclasses.dataclass(frozen=True, slots=True)
class Compose:
    """The backend RPCs that a public one is made of."""

    steps: tuple[Step, ...]
    response: tuple[Binding, ...] = ()


def read(proto: annotations_pb2.Compose) -> Compose:
    """Read the option's message, wherever it came from. Nothing is checked: `compile_plan` does, with paths."""
    return Compose(
        steps=tuple(_read_step(step) for step in proto.steps),
        response=tuple(Binding(binding.field, binding.value) for binding in proto.response),
    )


def read_option(method: MethodDescriptor) -> Compose | None:
    """Read the option of a method of any descriptor pool; None when the method is not composed."""
    if not method.has_options:
        return None
    # Options of a pool built at run time know our extension only as unknown fields or as that pool's own
    # class: their wire form, read with the generated classes, is the same for all pools.
    wire = method.GetOptions().SerializeToString()
    options = descriptor_pb2.MethodOptions.FromString(wire)
    if not options.HasExtension(annotations_pb2.compose):
        return None
    return read(options.Extensions[annotations_pb2.compose])


def _read_step(proto: annotations_pb2.Step) -> Step:
    for_each = None
    if proto.HasField("for_each"):
        for_each = ForEach(
            over=proto.for_each.over,
            variable=getattr(proto.for_each, "as") or DEFAULT_ITEM,
            max_concurrency=proto.for_each.max_concurrency,
        )
    return Step(
        name=proto.name,
        call=proto.call,
        request=tuple(Binding(binding.field, binding.value) for binding in proto.request),
        optional=proto.optional,
        for_each=for_each,
        timeout=proto.timeout.seconds + proto.timeout.nanos / 1e9 if proto.HasField("timeout") else None,
    )
