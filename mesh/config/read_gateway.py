"""What makes the gateway's settings valid: addresses, files, origins, networks and ranges, each with its problem and path."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from google.protobuf.message import Message

from mesh.config import address, edge, header
from mesh.config.address import Address
from mesh.config.spec import Gateway
from mesh.policy.problem import Problems
from mesh.policy.read import flag, seconds, whole
from mesh.v1 import config_pb2, rest_pb2

_FULL_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_METHOD: Final = re.compile(_FULL_NAME.pattern + r"/[A-Za-z_][A-Za-z0-9_]*")
# RFC 6454, 6.2: scheme, host, and a port that is not the scheme's own.
_ORIGIN: Final = re.compile(
    r"https?://(\*\.)?([a-z0-9-]+\.)*[a-z0-9-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?"
)
_PATH: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_DAY: Final = 86400.0
_YEAR: Final = 366 * _DAY
_SCOPES: Final = {
    rest_pb2.CACHE_SCOPE_PRIVATE: edge.CacheScope.PRIVATE,
    rest_pb2.CACHE_SCOPE_NONE: edge.CacheScope.NONE,
}
_PROTOCOLS: Final[dict[int, edge.Protocol]] = {
    config_pb2.PROTOCOL_GRPC_WEB: edge.Protocol.GRPC_WEB,
    config_pb2.PROTOCOL_CONNECT: edge.Protocol.CONNECT,
}


def read(proto: config_pb2.Gateway, at: Problems, folder: Path) -> Gateway:
    """Read a gateway's settings; relative paths are relative to `folder`. Bad values are replaced by defaults."""
    for index, name in enumerate(proto.services):
        full_name(name, at.field("services").item(index))
    default = Gateway()
    return Gateway(
        listen=listen(proto.listen, at.field("listen")) or default.listen,
        workers=whole(proto, "workers", at, default=default.workers, least=1, most=256),
        services=tuple(proto.services),
        grpc_listen=listen(proto.grpc_listen, at.field("grpc_listen")),
        max_body_bytes=whole(proto, "max_body_bytes", at, default=default.max_body_bytes),
        body_timeout=seconds(proto, "body_timeout", at, default=default.body_timeout, least=0.001, most=_DAY),
        request_timeout=seconds(
            proto, "request_timeout", at, default=default.request_timeout, least=0.001, most=_DAY
        ),
        forward_headers=_headers(list(proto.forward_headers), at.field("forward_headers"))
        or default.forward_headers,
        return_headers=_headers(list(proto.return_headers), at.field("return_headers")),
        ignore_unknown_query=proto.unknown_query == config_pb2.UNKNOWN_QUERY_IGNORE,
        stop_timeout=seconds(proto, "stop_timeout", at, default=default.stop_timeout, most=_DAY),
        access_log=flag(proto, "access_log", default=default.access_log),
        unannotated_methods=flag(proto, "unannotated_methods", default=default.unannotated_methods),
        rule_files=tuple(
            _file(folder, name, at.field("rule_files").item(index))
            for index, name in enumerate(proto.rule_files)
        ),
        tls=_tls(proto.tls, at.field("tls"), folder) if proto.HasField("tls") else None,
        admin_listen=listen(proto.admin_listen, at.field("admin_listen")),
        json=edge.Json(
            proto_names=proto.json.proto_names,
            enum_numbers=proto.json.enum_numbers,
            emit_defaults=proto.json.emit_defaults,
            ignore_unknown=proto.json.ignore_unknown,
        ),
        problem_details=proto.error_format == config_pb2.ERROR_FORMAT_PROBLEM,
        cors=_cors(proto.cors, at.field("cors")) if proto.HasField("cors") else default.cors,
        compression=edge.Compression(
            enabled=flag(proto.compression, "enabled", default=True),
            min_bytes=whole(
                proto.compression, "min_bytes", at.field("compression"), default=default.compression.min_bytes
            ),
        ),
        cache_bytes=whole(proto, "cache_bytes", at, default=default.cache_bytes),
        trusted_proxies=_networks(proto.trusted_proxies, at.field("trusted_proxies")),
        method_override=flag(proto, "method_override", default=default.method_override),
        security_headers=flag(proto, "security_headers", default=default.security_headers),
        streaming=_streaming(proto.streaming, at.field("streaming")),
        protocols=_protocols(proto.protocols, at.field("protocols")),
        schema_updates=_schema_updates(proto.schema_updates, at.field("schema_updates")),
        max_target_bytes=whole(
            proto, "max_target_bytes", at, default=default.max_target_bytes, least=64, most=65536
        ),
        methods=_methods(proto.methods, at.field("methods")),
    )


def read_rest(proto: rest_pb2.Rest, at: Problems) -> edge.Rest:
    """Read what one method says about its REST form; whether its fields are there is for the schema to say."""
    for name in ("event_id", "last_event_id"):
        path = getattr(proto, name)
        if path and not _PATH.fullmatch(path):
            at.field(name).add(f'"{path}" is not a path to a field, such as order.revision')
    if proto.last_event_id and not proto.event_id:
        at.field("last_event_id").add("without event_id no client has an id to come back with")
    return edge.Rest(
        cache=_cache(proto.cache, at.field("cache")) if proto.HasField("cache") else None,
        event_id=proto.event_id,
        last_event_id=proto.last_event_id,
    )


def full_name(name: str, at: Problems) -> None:
    """Report a name that cannot be a gRPC service's."""
    if not _FULL_NAME.fullmatch(name):
        at.add(f'"{name}" is not the full name of a gRPC service, such as shop.v1.CatalogService')


def listen(text: str, at: Problems) -> Address | None:
    """Read an address to listen on; None when there is none, or a bad one."""
    if not text:
        return None
    parsed = address.parse(text, least_port=0)
    if isinstance(parsed, str):
        at.add(parsed)
        return None
    return parsed


def _headers(names: Iterable[str], at: Problems) -> tuple[str, ...]:
    listed = list(names)
    for index, name in enumerate(listed):
        wrong = header.refusal(name)
        if wrong:
            at.item(index).add(wrong)
    return tuple(name.lower() for name in listed)


def _names(names: Iterable[str], at: Problems) -> tuple[str, ...]:
    """Read header names that are only named, not handed on."""
    listed = [name.lower() for name in names]
    for index, name in enumerate(listed):
        if not header.is_name(name):
            at.item(index).add(f'"{name}" is not a header name')
    return tuple(listed)


def _file(folder: Path, name: str, at: Problems) -> Path:
    file = folder / name
    if not name:
        at.add("is required")
    elif not file.is_file():
        at.add(f'"{name}" is not there')
    return file


def _tls(proto: config_pb2.ServerTls, at: Problems, folder: Path) -> edge.ServerTls:
    return edge.ServerTls(
        certificate=_file(folder, proto.certificate, at.field("certificate")),
        private_key=_file(folder, proto.private_key, at.field("private_key")),
    )


def _cors(proto: config_pb2.Cors, at: Problems) -> edge.Cors:
    origins = tuple(origin.lower() for origin in proto.allow_origins)
    if not origins:
        at.field("allow_origins").add("is required: the origins whose pages may use the API")
    for index, origin in enumerate(origins):
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            text = (
                f'"{origin}" is not an origin, such as https://shop.example.com, https://*.example.com or *'
            )
            at.field("allow_origins").item(index).add(text)
    if proto.allow_credentials and "*" in origins:
        # Fetch, 3.2.5: with credentials, `*` in Access-Control-Allow-Origin matches nothing; echoing every origin would
        # hand every page its visitors' cookies.
        at.field("allow_credentials").add('cannot be had with the origin "*": list the origins')
    return edge.Cors(
        allow_origins=origins,
        allow_headers=_names(proto.allow_headers, at.field("allow_headers")),
        expose_headers=_names(proto.expose_headers, at.field("expose_headers")),
        allow_credentials=proto.allow_credentials,
        max_age=seconds(proto, "max_age", at, default=600.0, most=_DAY),
    )


def _networks(texts: Iterable[str], at: Problems) -> tuple[str, ...]:
    networks = []
    for index, text in enumerate(texts):
        try:
            networks.append(str(ipaddress.ip_network(text)))
        except ValueError as error:
            at.item(index).add(f'"{text}" is not a network, such as 10.0.0.0/8: {error}')
    return tuple(networks)


def _streaming(proto: config_pb2.Streaming, at: Problems) -> edge.Streaming:
    default = edge.Streaming()
    return edge.Streaming(
        keepalive=seconds(proto, "keepalive", at, default=default.keepalive, least=0.05, most=_DAY),
        idle_timeout=seconds(proto, "idle_timeout", at, default=default.idle_timeout, least=0.05, most=_DAY),
    )


def _protocols(values: Iterable[int], at: Problems) -> frozenset[edge.Protocol]:
    listed = list(values)
    for index, value in enumerate(listed):
        if value == config_pb2.PROTOCOL_UNSPECIFIED:
            at.item(index).add("PROTOCOL_UNSPECIFIED is not a protocol")
        elif value == config_pb2.PROTOCOL_NONE and len(listed) > 1:
            at.item(index).add("PROTOCOL_NONE cannot be listed with others")
    if not listed:
        return frozenset(edge.Protocol)
    return frozenset(_PROTOCOLS[value] for value in listed if value in _PROTOCOLS)


def _schema_updates(proto: config_pb2.SchemaUpdates, at: Problems) -> edge.SchemaUpdates:
    default = edge.SchemaUpdates()
    return edge.SchemaUpdates(
        watch=flag(proto, "watch", default=default.watch),
        reflection_interval=seconds(
            proto, "reflection_interval", at, default=default.reflection_interval, least=0.1, most=_DAY
        ),
        refuse_breaking=proto.breaking_changes == config_pb2.BREAKING_CHANGES_REFUSE,
    )


def _methods(protos: Iterable[config_pb2.RestMethod], at: Problems) -> Mapping[str, edge.Rest]:
    methods: dict[str, edge.Rest] = {}
    for index, proto in enumerate(protos):
        here = at.item(index)
        if not _METHOD.fullmatch(proto.method):
            here.field("method").add(
                f'"{proto.method}" is not a method, such as shop.v1.CatalogService/GetProduct'
            )
        elif proto.method in methods:
            here.field("method").add(f'"{proto.method}" is given twice')
        methods[proto.method] = read_rest(proto.rest, here.field("rest"))
    return methods


def _cache(proto: rest_pb2.Cache, at: Problems) -> edge.Cache:
    scope = _SCOPES.get(proto.scope, edge.CacheScope.PUBLIC)
    if proto.store and scope is not edge.CacheScope.PUBLIC:
        at.field("store").add(
            "the gateway is a shared cache: it keeps only what CACHE_SCOPE_PUBLIC lets everybody see"
        )
    if scope is edge.CacheScope.NONE and (proto.HasField("max_age") or proto.HasField("shared_max_age")):
        at.field("scope").add(
            "with CACHE_SCOPE_NONE nothing is kept: max_age and shared_max_age have no meaning"
        )
    lasting = (
        *proto.max_age.ListFields(),
        *proto.shared_max_age.ListFields(),
        *proto.stale_while_revalidate.ListFields(),
    )
    if proto.store and not lasting:
        at.field("store").add(
            "without max_age, shared_max_age or stale_while_revalidate no answer is fresh for a moment"
        )
    return edge.Cache(
        max_age=_whole_seconds(proto, "max_age", at) or 0.0,
        shared_max_age=_whole_seconds(proto, "shared_max_age", at),
        scope=scope,
        vary=_names(proto.vary, at.field("vary")),
        store=proto.store,
        stale_while_revalidate=_whole_seconds(proto, "stale_while_revalidate", at) or 0.0,
    )


def _whole_seconds(proto: Message, name: str, at: Problems) -> float | None:
    """Read a time that a header will say: RFC 9111, 1.2.2 has whole seconds only."""
    if not proto.HasField(name):
        return None
    value = seconds(proto, name, at, default=0.0, most=_YEAR)
    if value != int(value):
        at.field(name).add(f'"{value:g}s" is not a whole number of seconds, which is all HTTP has')
    return value
