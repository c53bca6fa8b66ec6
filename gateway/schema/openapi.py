"""Decides what the OpenAPI 3.1 document says of an API: one operation for each binding of the table.

The document is a function of its arguments: the same schema gives the same bytes. What OpenAPI has no words for is listed
by name under `x-other-bindings`: bindings of HTTP methods it does not know, and those whose path is spelled like one that
is there already, which only a `**` or a `*` told apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import orjson

from gateway.route.table import Binding, Table
from gateway.route.trie import ANY_METHOD
from gateway.schema import openapi_path
from gateway.schema.json_type import Json
from gateway.schema.openapi_operation import BEARER, Operations
from gateway.schema.openapi_path import OpenApiPath
from gateway.schema.pool import Schema
from mesh.config.edge import Rest
from mesh.config.spec import Gateway as Settings

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_UNKNOWN: Final = "OpenAPI has no such HTTP method"
_TAKEN: Final = "OpenAPI cannot tell its path from another's"


def render(
    schema: Schema,
    table: Table,
    *,
    title: str,
    version: str,
    description: str = "",
    servers: Sequence[str] = ("/",),
    settings: Settings | None = None,
    rests: Mapping[str, Rest] = MappingProxyType({}),
) -> Json:
    """Return the document; `servers` are the URLs under which the gateway is reached.

    `rests` is what methods say of their REST form, by full method name.
    """
    info = {"title": title, "version": version, **({"description": description} if description else {})}
    operations = Operations(schema, table.bindings, settings or Settings(), rests)
    paths, others = _paths(table, operations)
    errors = operations.responses.errors()
    document: Json = {
        "openapi": "3.1.0",
        "info": info,
        "servers": [{"url": url} for url in servers],
        "tags": operations.tags(),
        "paths": paths,
        "components": {
            "schemas": operations.components.schemas(),
            "responses": errors,
            "headers": operations.responses.headers(),
        },
    }
    if operations.secured:
        document["components"]["securitySchemes"] = {
            BEARER: {
                "type": "http",
                "scheme": "bearer",
                "description": "Handed on to the services, which decide what they ask for.",
            }
        }
        document["security"] = [{}, {BEARER: []}]
    if others:
        document["x-other-bindings"] = others
    return document


def encode(document: Json) -> bytes:
    """Return a document as the bytes to serve."""
    return orjson.dumps(document)


def _paths(table: Table, operations: Operations) -> tuple[Json, list[Json]]:
    """Return the paths, and the bindings that have no place among them."""
    # "Templated paths with the same hierarchy but different templated names MUST NOT exist as they are
    # identical." - OpenAPI 3.1, Paths Object. So the first spelling of a path names its parameters for
    # all.
    spelled: dict[tuple[str, ...], OpenApiPath] = {}
    items: dict[str, Json] = {}
    others: list[Json] = []
    for binding in table.bindings:
        method = _method(binding)
        read = openapi_path.read(binding.template)
        first = spelled.get(read.pieces, read)
        item = items.get(str(first), {})
        if method not in _METHODS or method in item:
            reason = _TAKEN if method in item else _UNKNOWN
            others.append(_other(binding, reason))
            continue
        spelled[read.pieces] = first
        names = [part.name for part in first.parts]
        parts = [part._replace(name=name) for part, name in zip(read.parts, names, strict=True)]
        items.setdefault(str(first), item)[method] = operations.of(binding, parts)
    paths = {
        path: {method: item[method] for method in _METHODS if method in item}
        for path, item in sorted(items.items())
    }
    return paths, others


def _other(binding: Binding, reason: str) -> Json:
    return {
        "httpMethod": binding.http_method,
        "path": str(binding.template),
        "grpcMethod": binding.full_method,
        "reason": reason,
    }


def _method(binding: Binding) -> str:
    if binding.http_method == ANY_METHOD:
        return "post" if binding.body else "get"
    return binding.http_method.lower()
