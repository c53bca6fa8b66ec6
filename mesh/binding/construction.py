"""What both kinds of servers are told before they start: their handlers and methods, and where they listen."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

import grpc
import grpc.aio

from mesh.binding.handler import arity_of
from mesh.binding.runtime import Runtime
from mesh.call import Arity
from mesh.chain import Chains
from mesh.errors import ConfigError
from mesh.policy.problem import Problem

DEFAULT_LISTEN: Final = "127.0.0.1:50051"

OPTIONS: Final = (
    # Two servers on one port would share its connections silently; the second should fail instead.
    ("grpc.so_reuseport", 0),
    # Clients of the mesh may ping every 10 s; gRPC's default closes connections that ping within 300 s.
    ("grpc.http2.min_ping_interval_without_data_ms", 9_000),
)


class UnderConstruction:
    """The part of a server that generated code calls, for servers that are opened when they start."""

    _maker: ClassVar[str]
    """What makes the server, as an application calls it."""

    def __init__(self) -> None:
        self._handlers: list[grpc.GenericRpcHandler] = []
        self._arities: dict[str, dict[str, Arity]] = {}

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        self._handlers.extend(generic_rpc_handlers)

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """Note the methods. They are served by the generic handler that generated code adds as well.

        grpc.aio keeps one accept outstanding for each registered method and re-arms all of them for each call: at 200
        methods that costs 43 % of a call's CPU. Generic handlers have one.
        """
        self._arities[service_name] = {
            f"/{service_name}/{name}": arity_of(handler) for name, handler in method_handlers.items()
        }

    def add_insecure_port(self, address: str) -> int:
        """Refuse: where to listen is said when the server is made."""
        raise ConfigError([Problem("", f'"{address}": say where to listen with {self._maker}(listen=...)')])

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:  # noqa: ARG002 - grpc's signature
        """Refuse: where to listen is said when the server is made."""
        raise ConfigError(
            [Problem("", f'"{address}": say where to listen with {self._maker}(listen=..., credentials=...)')]
        )


def place_of(listen: str | None) -> str:
    """Return where a server listens: as it was told, else as `mesh up` chose, else at the default."""
    return listen or os.environ.get("MESH_LISTEN") or DEFAULT_LISTEN


def bind(
    server: grpc.Server | grpc.aio.Server, listen: str, credentials: grpc.ServerCredentials | None
) -> str:
    """Have grpc's server listen; return the address with the port it got. Raises ConfigError when it cannot be had."""
    try:
        if credentials is None:
            port = server.add_insecure_port(listen)
        else:
            port = server.add_secure_port(listen, credentials)
    except RuntimeError as error:
        raise ConfigError([Problem("", f'cannot listen on "{listen}": {error}')]) from error
    return listen if listen.startswith("unix:") else f"{listen.rpartition(':')[0]}:{port}"


def check_policies(chains: Chains, services: Mapping[str, Mapping[str, Arity]]) -> None:
    """Compile the chains of all methods, by service; raise ConfigError with everything that is wrong."""
    problems: list[Problem] = []
    for methods in services.values():
        for method, arity in methods.items():
            try:
                chains.find(method, arity)
            except ConfigError as error:
                problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)


def grace_of(name: str, using: Runtime) -> float:
    """Return how long calls in flight may take when `mesh up` stops the service: it kills after `stop_timeout`."""
    service = None if using.environment is None else using.environment.service(name)
    return 10.0 if service is None else service.stop_timeout
