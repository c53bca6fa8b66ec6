"""What a gateway serves at one moment: immutable, compiled from a blueprint, replaced by one assignment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.backend import Backends
from gateway.bind.request import QueryOptions, compile_request
from gateway.bind.stream import Requests
from gateway.blueprint import Blueprint
from gateway.codec import Codec, Options
from gateway.edge import metrics
from gateway.edge.finish import Finish, Finishers
from gateway.edge.header import ResponseHeaders
from gateway.endpoint import ComposedEndpoint, Endpoint, UnaryEndpoint
from gateway.protocol.compile import compile_procedures
from gateway.protocol.procedure import Procedure
from gateway.protocol.socket_endpoint import Messages, OriginCheck, SocketEndpoint, socket_routes
from gateway.render.error import Errors
from gateway.render.framing import compile_framings
from gateway.render.negotiate import Acceptance
from gateway.render.reply import compile_renderers
from gateway.route.template import Kind
from gateway.route.trie import Trie
from gateway.schema import openapi
from gateway.schema.docs_page import Page, read_pages
from gateway.stored import Store, StoredComposed, StoredUnary
from gateway.stream_endpoint import StreamEndpoint
from mesh.config.edge import Cache, Rest
from mesh.telemetry.durations import Durations
from mesh.telemetry.telemetry import Telemetry

OPENAPI: Final = "/openapi.json"
DOCS: Final = "/docs"
HEALTH: Final = b"/healthz"
READY: Final = b"/readyz"


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """One compiled schema and the channels it calls."""

    blueprint: Blueprint
    backends: Backends
    trie: Trie[Endpoint]
    sockets: Trie[Any]
    """What handshakes of WebSockets reach: a `SocketEndpoint` each."""
    procedures: Mapping[bytes, Procedure]
    """By raw path, `/package.Service/Method`: what speaks other protocols than REST."""
    errors: Errors
    pages: Mapping[bytes, Page | None]
    """What the gateway itself answers to GET, by raw path; None for its health."""
    page_durations: Mapping[bytes, Durations]
    """Durations of requests for pages, by raw path."""
    finish: Finish
    """Completes answers without a route."""
    finish_page: Finish
    """Completes pages."""
    store: Store | None
    """The answers that are kept, if any method says so."""
    unmatched: Durations
    """Durations of requests without a route."""
    since: float = field(default_factory=time.time)
    """When it was compiled, in seconds since 1970."""
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when this has been replaced and its last request has ended."""


def compile_live(blueprint: Blueprint) -> Live:
    """Compile everything a request needs; opens nothing."""
    settings, telemetry = blueprint.settings, blueprint.runtime.telemetry
    backends = Backends(blueprint.runtime, blueprint.targets, blueprint.plans)
    return_headers = ResponseHeaders(settings.return_headers)
    errors = Errors(
        blueprint.schema.pool.FindMessageTypeByName,
        return_headers,
        problem_details=settings.problem_details,
        realm=blueprint.title,
    )
    compiler = _Compiler(blueprint, backends, errors, return_headers, telemetry)
    trie = Trie(
        (binding.http_method, binding.template, compiler.endpoint(binding))
        for binding in blueprint.table.bindings
    )
    pages = _pages(blueprint)
    return Live(
        blueprint=blueprint,
        backends=backends,
        trie=trie,
        sockets=Trie(socket_routes(blueprint.table.bindings, blueprint.plans, compiler.socket)),
        procedures=compile_procedures(
            blueprint, backends, return_headers, compiler.codec_of, compiler.finishers
        ),
        errors=errors,
        pages=pages,
        page_durations={path: metrics.durations(telemetry, "GET", path.decode()) for path in pages},
        finish=compiler.finishers.other(),
        finish_page=compiler.finishers.get(),
        store=compiler.store,
        unmatched=metrics.durations(telemetry, "_OTHER", ""),
    )


class _Compiler:
    """Endpoints of one schema, which share one codec's compiled functions."""

    def __init__(
        self,
        blueprint: Blueprint,
        backends: Backends,
        errors: Errors,
        return_headers: ResponseHeaders,
        telemetry: Telemetry,
    ) -> None:
        self._blueprint = blueprint
        self._backends = backends
        self._errors = errors
        self._return_headers = return_headers
        self._telemetry = telemetry
        self._query = QueryOptions(ignore_unknown=blueprint.settings.ignore_unknown_query)
        asked = blueprint.settings.json
        self._json = Options(
            proto_names=asked.proto_names,
            enum_numbers=asked.enum_numbers,
            emit_defaults=asked.emit_defaults,
            ignore_unknown=asked.ignore_unknown,
        )
        self._codec: Codec | None = None
        self._acceptance = Acceptance()
        self._origins = OriginCheck(blueprint.settings.cors.allow_origins)
        self.finishers = Finishers(blueprint.settings.compression)
        self.store: Store | None = None
        if blueprint.settings.cache_bytes and any(_stores(rest) for rest in blueprint.rests.values()):
            self.store = Store(blueprint.settings.cache_bytes, metrics.CacheCounters(telemetry))

    def endpoint(self, binding: Any) -> Endpoint:
        method = binding.method
        parts: dict[str, Any] = {
            "bind": compile_request(binding, self.codec_of(method.input_type), self._query),
            "renderers": compile_renderers(binding, self.codec_of(method.output_type)),
            "backends": self._backends,
            "errors": self._errors,
            "return_headers": self._return_headers,
            "timeout": self._blueprint.settings.request_timeout,
            "max_body": self._blueprint.settings.max_body_bytes,
            "durations": metrics.durations(self._telemetry, binding.http_method, str(binding.template)),
        }
        rest = self._blueprint.rests.get(binding.full_method)
        cache = None if rest is None else rest.cache
        reads = binding.http_method in _READS and not method.server_streaming
        plan = self._blueprint.plans.get(binding.full_method)
        parts["finish"] = self._finish(
            cache, raw=parts["renderers"].raw, composed=plan is not None, reads=reads
        )
        if self.store is not None and cache is not None and cache.store and reads:
            stored = {"rule": cache, "store": self.store, **parts}
            return StoredUnary(binding, **stored) if plan is None else StoredComposed(binding, plan, **stored)
        if plan is not None:
            return ComposedEndpoint(binding, plan, **parts)
        if method.server_streaming or method.client_streaming:
            return self._stream(binding, rest, parts)
        return UnaryEndpoint(binding, **parts)

    def socket(self, binding: Any) -> SocketEndpoint:
        """Return what answers WebSockets on the path of a binding."""
        settings = self._blueprint.settings

        def compile_messages() -> Messages:
            codec = self.codec_of(binding.method.input_type)
            return Messages(
                Requests(binding, codec, self._query, settings.max_body_bytes),
                compile_renderers(binding, self.codec_of(binding.method.output_type)),
            )

        return SocketEndpoint(
            binding,
            compile_messages=compile_messages,
            backends=self._backends,
            errors=self._errors,
            origins=self._origins,
            streaming=settings.streaming,
            timeout=settings.request_timeout,
            max_message=settings.max_body_bytes,
            durations=metrics.durations(self._telemetry, "GET", str(binding.template)),
            finish=self.finishers.other(),
        )

    def _stream(self, binding: Any, rest: Rest | None, parts: dict[str, Any]) -> Endpoint:
        settings = self._blueprint.settings
        requests = None
        if binding.method.client_streaming:
            codec = self.codec_of(binding.method.input_type)
            requests = Requests(binding, codec, self._query, settings.max_body_bytes)
        return StreamEndpoint(
            binding,
            requests=requests,
            framing=compile_framings(
                binding.method, parts["renderers"], "" if rest is None else rest.event_id
            ),
            acceptance=self._acceptance,
            last_event_id="" if rest is None else rest.last_event_id,
            streaming=settings.streaming,
            **parts,
        )

    def _finish(self, cache: Cache | None, *, raw: bool, composed: bool, reads: bool) -> Finish:
        if not reads:
            return self.finishers.other(None if self.store is None else self.store.changed)
        # A degraded composition says of itself that it must not be kept.
        return self.finishers.get(cache, raw=raw, inherits=composed or self._return_headers.any)

    def codec_of(self, descriptor: Any) -> Codec:
        """Return the codec of a message type."""
        if self._codec is None:
            self._codec = Codec(descriptor, options=self._json)
        return self._codec.for_message(descriptor)


_READS: Final = frozenset({"GET", "HEAD"})


def _stores(rest: Rest) -> bool:
    return rest.cache is not None and rest.cache.store


def _pages(blueprint: Blueprint) -> dict[bytes, Page | None]:
    document = openapi.encode(
        openapi.render(
            blueprint.schema,
            blueprint.table,
            title=blueprint.title,
            version=blueprint.version,
            settings=blueprint.settings,
            rests=blueprint.rests,
        )
    )
    pages = {OPENAPI: Page("application/json", document), **read_pages(title=blueprint.title, path=DOCS)}
    # The API's own literal paths are its own; what is under a wildcard is not meant to hide the documentation.
    taken = {str(binding.template) for binding in blueprint.table.bindings if _is_literal(binding.template)}
    own: dict[bytes, Page | None] = {path.encode(): page for path, page in pages.items()}
    own |= {HEALTH: None, READY: None}
    return {path: page for path, page in own.items() if path.decode() not in taken}


def _is_literal(template: Any) -> bool:
    return all(segment.kind is Kind.LITERAL for segment in template.segments)
