"""Which changes from one schema to the next break clients of the one before.

Clients speak REST, gRPC-Web, Connect or gRPC to the same methods, so what breaks any of them counts: a JSON name as much as a
field's number. Only what an exposed method can reach is compared; extensions and the contents of Any are not. What is
only added breaks nobody, but for what must then be given in requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from google.protobuf.descriptor import MethodDescriptor

from gateway.schema.breaking_message import Messages
from gateway.schema.breaking_route import compare_routes
from mesh.policy.problem import Problem

if TYPE_CHECKING:
    from gateway.blueprint import Blueprint

_KINDS: Final = {
    (False, False): "unary",
    (True, False): "client-streaming",
    (False, True): "server-streaming",
    (True, True): "bidirectional",
}
"""By whether the requests and the responses are streams."""


def compare(old: Blueprint, new: Blueprint) -> tuple[Problem, ...]:
    """Return every break, each with the route, method, field or enum value it is in."""
    before, after = _exposed(old), _exposed(new)
    kept = {name: (method, after[name]) for name, method in before.items() if name in after}
    found = [
        Problem(method.full_name, _gone(old, name)) for name, method in before.items() if name not in after
    ]
    found += compare_routes(old.table.bindings, new.table.bindings, kept)
    messages = Messages(emit_defaults=new.settings.json.emit_defaults)
    for was, now in kept.values():
        found += [Problem(was.full_name, text) for text in _compare_method(was, now)]
        if was.input_type.full_name == now.input_type.full_name:
            messages.compare(was.input_type, now.input_type, is_request=True)
        if was.output_type.full_name == now.output_type.full_name:
            messages.compare(was.output_type, now.output_type, is_request=False)
    return (*found, *messages.found)


def _exposed(blueprint: Blueprint) -> Mapping[str, MethodDescriptor]:
    """Return the methods that clients can call, by name on the wire: those with a route, and the composed ones."""
    routed = {binding.full_method: binding.method for binding in blueprint.table.bindings}
    composed = {
        name: method
        for service in blueprint.schema.services
        for method in service.methods
        if (name := f"/{service.full_name}/{method.name}") in blueprint.plans
    }
    return {**routed, **composed}


def _gone(blueprint: Blueprint, name: str) -> str:
    routes = [
        f'"{binding.http_method} {binding.template}"'
        for binding in blueprint.table.bindings
        if binding.full_method == name
    ]
    return ", nor is ".join(["is not served any more", *routes])


def _compare_method(was: MethodDescriptor, now: MethodDescriptor) -> Iterator[str]:
    old = _KINDS[was.client_streaming, was.server_streaming]
    new = _KINDS[now.client_streaming, now.server_streaming]
    if old != new:
        yield f"was {old}, is {new}"
    for what, before, after in (
        ("requests", was.input_type.full_name, now.input_type.full_name),
        ("responses", was.output_type.full_name, now.output_type.full_name),
    ):
        if before != after:
            yield f"its {what} were {before}, are {after}"
