"""What the sections of a gateway's settings are, as values that are known to be valid: the defaults of mesh.v1.Gateway."""

from __future__ import annotations

import dataclasses
import enum
from pathlib import Path


class Protocol(enum.Enum):
    """What a gateway's port serves besides REST."""

    GRPC_WEB = "gRPC-Web"
    CONNECT = "Connect"


class CacheScope(enum.Enum):
    """Who may keep an answer, as `Cache-Control` says it."""

    PUBLIC = "public"
    PRIVATE = "private"
    NONE = "no-store"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """Who may keep a method's answers to GET, and for how long. Times are seconds."""

    max_age: float = 0.0
    shared_max_age: float | None = None
    """None: as `max_age`."""
    scope: CacheScope = CacheScope.PUBLIC
    vary: tuple[str, ...] = ()
    """Lower case."""
    store: bool = False
    stale_while_revalidate: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """How the gateway treats one method."""

    cache: Cache | None = None
    event_id: str = ""
    """A path in the response message, in proto names; empty for none."""
    last_event_id: str = ""
    """A path in the request message, in proto names; empty for none."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """A server's certificate: PEM files."""

    certificate: Path
    private_key: Path


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Json:
    """How messages are written as JSON, and what is let pass when they are read."""

    proto_names: bool = False
    enum_numbers: bool = False
    emit_defaults: bool = False
    ignore_unknown: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """Which pages of other origins may use the API."""

    allow_origins: tuple[str, ...] = ()
    """Lower case; a host that begins with `*.` stands for every host below, `*` alone for all origins. Empty: none."""
    allow_headers: tuple[str, ...] = ()
    """Lower case; empty: the default list."""
    expose_headers: tuple[str, ...] = ()
    """Lower case; empty: the default list."""
    allow_credentials: bool = False
    max_age: float = 600.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """How answers are compressed."""

    enabled: bool = True
    min_bytes: int = 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Streaming:
    """How streams are kept. Times are seconds."""

    keepalive: float = 15.0
    idle_timeout: float = 60.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SchemaUpdates:
    """How new schemas are taken over while the gateway runs."""

    watch: bool = True
    reflection_interval: float = 30.0
    refuse_breaking: bool = False
