"""The gRPC port beside the HTTP one: the exposed methods passed through, health, and reflection of what is live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2_grpc
from grpc_reflection.v1alpha.reflection import SERVICE_NAME, aio

from gateway.app import Gateway
from gateway.protocol.passthrough import Passthrough
from mesh.binding.server import Server, server
from mesh.config.address import Address


def grpc_server(gateway: Gateway, listen: Address, credentials: grpc.ServerCredentials | None) -> Server:
    """Return the server, not started yet, for an address that others may share: workers, and their successors."""
    blueprint = gateway.live.blueprint
    settings = blueprint.settings
    made = server(
        "gateway",
        listen=str(listen),
        credentials=credentials,
        grace=settings.stop_timeout,
        options=(
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", settings.max_body_bytes),
        ),
        # Reflection of ours, for the schema is in a pool of its own.
        reflection=False,
        using=blueprint.runtime,
    )
    passthrough = Passthrough(gateway)
    made.add_generic_rpc_handlers((passthrough,))
    services: dict[str, dict[str, Any]] = {}
    for name, arity in passthrough.exposed.items():
        service, _, method = name[1:].partition("/")
        services.setdefault(service, {})[method] = passthrough.handler(name, arity)
    for service, handlers in services.items():
        made.add_registered_method_handlers(service, handlers)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(_Reflection(gateway, passthrough), made)
    return made


class _Reflection(reflection_pb2_grpc.ServerReflectionServicer):  # type: ignore[misc]  # the package is untyped
    """Shows the services that are exposed at the moment."""

    def __init__(self, gateway: Gateway, passthrough: Passthrough) -> None:
        self._gateway = gateway
        self._passthrough = passthrough

    async def ServerReflectionInfo(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802 - gRPC's name
        names = {method[1:].partition("/")[0] for method in self._passthrough.exposed}
        health = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        shown = aio.ReflectionServicer(
            (*sorted(names), health, SERVICE_NAME), pool=self._gateway.live.blueprint.schema.pool
        )
        async for answer in shown.ServerReflectionInfo(request_iterator, context):
            yield answer
