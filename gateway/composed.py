"""Composed methods as real gRPC methods: a service of them for any server, with or without the gateway."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from gateway.backend import Backends
from gateway.compose import Plan
from gateway.edge.header import matcher
from mesh.binding.status import STATUS
from mesh.call import CURRENT, Call, Code, Metadata, Outcome
from mesh.stage.detail import STATUS_DETAILS


class GrpcServer(Protocol):
    """The part of a server that generated code uses too: `mesh.server`'s, and grpc's own."""

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Any) -> None: ...
    def add_registered_method_handlers(self, service_name: str, method_handlers: Any) -> None: ...


def add_composed(
    server: GrpcServer, plans: Mapping[str, Plan], backends: Backends, forward: tuple[str, ...] = ()
) -> None:
    """Serve every plan on a gRPC server; `backends` must be open when calls come.

    `forward` names the metadata handed on to the steps, as the gateway's `forward_headers`.
    """
    passes = matcher(forward)
    services: dict[str, dict[str, Any]] = {}
    for name, plan in plans.items():
        service, _, method = name[1:].partition("/")
        handler: Any = grpc.unary_unary_rpc_method_handler(_handler(plan, backends, passes))
        services.setdefault(service, {})[method] = handler
    for service, handlers in services.items():
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        server.add_registered_method_handlers(service, handlers)


async def answer_composed(
    plan: Plan,
    backends: Backends,
    wire: bytes,
    *,
    deadline: float | None,
    metadata: Metadata,
    parent: Call | None,
) -> Outcome:
    """Run a plan for a request's wire form; the outcome's value is the response's wire form."""
    try:
        request = plan.request_class.FromString(wire)
    except DecodeError:
        text = f"not a valid {plan.request_class.DESCRIPTOR.full_name} on the wire"
        return Outcome(int(Code.INVALID_ARGUMENT), text)
    result = await backends.run(plan, request, deadline=deadline, metadata=metadata, parent=parent)
    outcome = result.outcome
    if outcome.code != Code.OK:
        return outcome
    return outcome._replace(value=outcome.value.SerializePartialToString())


def _handler(plan: Plan, backends: Backends, passes: Callable[[str], bool]) -> Any:
    async def handle(wire: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        remaining = context.time_remaining()
        given: Any = context.invocation_metadata() or ()
        outcome = await answer_composed(
            plan,
            backends,
            wire,
            deadline=None if remaining is None else time.monotonic() + remaining,
            metadata=tuple((key, value) for key, value in given if passes(key)),
            parent=CURRENT.get(),
        )
        if outcome.code != Code.OK:
            await _abort(context, outcome)
        response: bytes = outcome.value
        return response

    return handle


async def _abort(context: grpc.aio.ServicerContext[bytes, bytes], outcome: Outcome) -> None:
    # Trailers of the step that failed: its typed details are the answer's.
    details = tuple((key, value) for key, value in outcome.trailing if key == STATUS_DETAILS)
    await context.abort(STATUS[outcome.code], outcome.details, details)
