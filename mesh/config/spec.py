"""What an environment is: its services, its gateway and its telemetry, as values that are known to be valid."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from mesh.config.address import Address
from mesh.config.edge import Compression, Cors, Json, Protocol, Rest, SchemaUpdates, ServerTls, Streaming
from mesh.v1 import config_pb2

DEFAULT_LISTEN = Address("127.0.0.1", 8080)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """A named part of a service. Exactly one of `endpoints` and `dns` is not empty."""

    name: str
    endpoints: tuple[Address, ...] = ()
    dns: Address | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One deployable unit. Exactly one of `command`, `endpoints` and `dns` is not empty."""

    name: str
    serves: tuple[str, ...] = ()
    """Full names of gRPC services."""
    command: tuple[str, ...] = ()
    instances: int = 1
    directory: Path
    environment: tuple[tuple[str, str], ...] = ()
    endpoints: tuple[Address, ...] = ()
    dns: Address | None = None
    after: tuple[str, ...] = ()
    start_timeout: float = 30.0
    stop_timeout: float = 10.0
    subsets: tuple[Subset, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The REST edge, with the defaults of mesh.v1.Gateway."""

    listen: Address = DEFAULT_LISTEN
    workers: int = 1
    services: tuple[str, ...] = ()
    """Full names of gRPC services; empty: all that are served or composed."""
    grpc_listen: Address | None = None
    max_body_bytes: int = 4 * 1024 * 1024
    body_timeout: float = 10.0
    request_timeout: float = 15.0
    forward_headers: tuple[str, ...] = ("authorization", "accept-language", "x-request-id")
    """Lower case; a last `*` stands for any rest."""
    return_headers: tuple[str, ...] = ()
    ignore_unknown_query: bool = False
    stop_timeout: float = 10.0
    access_log: bool = True
    unannotated_methods: bool = False
    """Methods without google.api.http are exposed too."""
    rule_files: tuple[Path, ...] = ()
    tls: ServerTls | None = None
    admin_listen: Address | None = None
    json: Json = dataclasses.field(default_factory=Json)
    problem_details: bool = False
    """Errors are RFC 9457 for everybody, and not only for those who ask for it."""
    cors: Cors = dataclasses.field(default_factory=Cors)
    compression: Compression = dataclasses.field(default_factory=Compression)
    cache_bytes: int = 64 * 1024 * 1024
    trusted_proxies: tuple[str, ...] = ()
    """Networks in CIDR notation."""
    method_override: bool = False
    security_headers: bool = True
    streaming: Streaming = dataclasses.field(default_factory=Streaming)
    protocols: frozenset[Protocol] = frozenset(Protocol)
    schema_updates: SchemaUpdates = dataclasses.field(default_factory=SchemaUpdates)
    max_target_bytes: int = 8192
    methods: Mapping[str, Rest] = dataclasses.field(default_factory=dict, hash=False)
    """By full name, `package.Service/Method`: what replaces the annotation `gateway.v1.rest`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Where metrics and traces go, with the defaults of mesh.v1.Telemetry."""

    prometheus_listen: Address | None = None
    otlp_endpoint: str = ""
    trace_ratio: float = 0.01
    console: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Environment:
    """What a `mesh.yaml` says. Paths are absolute."""

    file: Path
    name: str = ""
    services: tuple[Service, ...] = ()
    gateway: Gateway | None = None
    telemetry: Telemetry = Telemetry()
    descriptors: tuple[Path, ...] = ()
    proto: config_pb2.Environment
    """What was read; `proto.policies` is for `mesh.policy.load`. Not to be changed."""
    lines: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """The line of each path in the file, for problems found later."""

    def service(self, name: str) -> Service | None:
        """Return the service of this name."""
        return next((service for service in self.services if service.name == name), None)

    def serving(self, full_name: str) -> Service | None:
        """Return the service that lists this gRPC service in `serves`."""
        return next((service for service in self.services if full_name in service.serves), None)
