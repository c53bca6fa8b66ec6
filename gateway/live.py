"""What a gateway serves at one moment: immutable, compiled from a blueprint, replaced by one assignment."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.backend import Backends
from gateway.bind.request import QueryOptions, compile_request
from gateway.blueprint import Blueprint
from gateway.codec import Codec
from gateway.edge import metrics
from gateway.edge.header import ResponseHeaders
from gateway.endpoint import ComposedEndpoint, Endpoint, StreamEndpoint, UnaryEndpoint
from gateway.render.error import Errors
from gateway.render.reply import compile_renderers
from gateway.route.template import Kind
from gateway.route.trie import Trie
from gateway.schema import openapi
from gateway.schema.docs_page import Page, read_pages
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
    errors: Errors
    pages: Mapping[bytes, Page | None]
    """What the gateway itself answers to GET, by raw path; None for its health."""
    unmatched: Durations
    """Durations of requests without a route."""
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when this has been replaced and its last request has ended."""


def compile_live(blueprint: Blueprint) -> Live:
    """Compile everything a request needs; opens nothing."""
    settings, telemetry = blueprint.settings, blueprint.runtime.telemetry
    backends = Backends(blueprint.runtime, blueprint.targets, blueprint.plans)
    return_headers = ResponseHeaders(settings.return_headers)
    errors = Errors(blueprint.schema.pool.FindMessageTypeByName, return_headers)
    compiler = _Compiler(blueprint, backends, errors, return_headers, telemetry)
    trie = Trie(
        (binding.http_method, binding.template, compiler.endpoint(binding))
        for binding in blueprint.table.bindings
    )
    return Live(
        blueprint=blueprint,
        backends=backends,
        trie=trie,
        errors=errors,
        pages=_pages(blueprint),
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
        self._codec: Codec | None = None

    def endpoint(self, binding: Any) -> Endpoint:
        method = binding.method
        parts: dict[str, Any] = {
            "bind": compile_request(binding, self._codec_of(method.input_type), self._query),
            "renderers": compile_renderers(binding, self._codec_of(method.output_type)),
            "backends": self._backends,
            "errors": self._errors,
            "return_headers": self._return_headers,
            "timeout": self._blueprint.settings.request_timeout,
            "max_body": self._blueprint.settings.max_body_bytes,
            "durations": metrics.durations(self._telemetry, binding.http_method, str(binding.template)),
        }
        plan = self._blueprint.plans.get(binding.full_method)
        if plan is not None:
            return ComposedEndpoint(binding, plan, **parts)
        return (StreamEndpoint if method.server_streaming else UnaryEndpoint)(binding, **parts)

    def _codec_of(self, descriptor: Any) -> Codec:
        if self._codec is None:
            self._codec = Codec(descriptor)
        return self._codec.for_message(descriptor)


def _pages(blueprint: Blueprint) -> dict[bytes, Page | None]:
    document = openapi.encode(
        openapi.render(
            blueprint.schema,
            blueprint.table,
            title=blueprint.title,
            version=blueprint.version,
            servers=("/",),
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
