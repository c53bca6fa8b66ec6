"""Decides what the OpenAPI 3.1 document says of an API: one operation for each binding of the table.

The document is a function of its arguments: the same schema gives the same bytes. Not in it, because OpenAPI
has no words for them: bindings of HTTP methods it does not know, and a `**` binding whose path is spelled
like one already there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.rpc import status_pb2

from gateway.bind.field import leaves
from gateway.codec.shape import map_entry
from gateway.route.table import Binding, Table
from gateway.route.trie import ANY_METHOD
from gateway.schema import openapi_path
from gateway.schema.json_schema import Components, Json, is_required
from gateway.schema.kind import HTTP_BODY, is_message, json_path, message_of, resolve
from gateway.schema.openapi_path import OpenApiPath, Part
from gateway.schema.pool import Schema

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_QUERY_DEPTH: Final = 4
"""How deep a field may lie to be listed as a query parameter; deeper ones can be given all the same."""
_STREAM: Final = "application/x-ndjson"


def render(
    schema: Schema,
    table: Table,
    *,
    title: str,
    version: str,
    description: str = "",
    servers: Sequence[str] = ("/",),
) -> Json:
    """Return the document; `servers` are the URLs under which the gateway is reached."""
    info = {"title": title, "version": version, **({"description": description} if description else {})}
    writer = _Writer(schema, table)
    paths = writer.paths()
    return {
        "openapi": "3.1.0",
        "info": info,
        "servers": [{"url": url} for url in servers],
        "tags": writer.tags(),
        "paths": paths,
        "components": {"schemas": writer.components.schemas()},
    }


def encode(document: Json) -> bytes:
    """Return a document as the bytes to serve."""
    return orjson.dumps(document)


class _Writer:
    """One document being written: its components, and the names already given."""

    def __init__(self, schema: Schema, table: Table) -> None:
        self.components = Components(schema.comments)
        self._comments = schema.comments
        self._table = table
        services = [binding.method.containing_service for binding in table.bindings]
        names = {service.full_name: service.name for service in services}
        short = Counter(names.values())
        self._tags = {
            full_name: name if short[name] == 1 else full_name for full_name, name in sorted(names.items())
        }
        self._operations: Counter[str] = Counter()

    def tags(self) -> list[Json]:
        return [
            {"name": tag, **({"description": text} if (text := self._comments.get(service)) else {})}
            for service, tag in self._tags.items()
        ]

    def paths(self) -> Json:
        # "Templated paths with the same hierarchy but different templated names MUST NOT exist as they are
        # identical." - OpenAPI 3.1, Paths Object. So the first spelling of a path names its parameters for
        # all.
        spelled: dict[tuple[str, ...], OpenApiPath] = {}
        items: dict[str, Json] = {}
        for binding in self._table.bindings:
            read = openapi_path.read(binding.template)
            first = spelled.setdefault(read.pieces, read)
            names = [part.name for part in first.parts]
            parts = [part._replace(name=name) for part, name in zip(read.parts, names, strict=True)]
            item = items.setdefault(str(first), {})
            method = _method(binding)
            if method in _METHODS and method not in item:
                item[method] = self._operation(binding, parts)
        return {
            path: {method: item[method] for method in _METHODS if method in item}
            for path, item in sorted(items.items())
            if item
        }

    def _operation(self, binding: Binding, parts: Sequence[Part]) -> Json:
        method = binding.method
        operation: Json = {
            "operationId": self._operation_id(method),
            "tags": [self._tags[method.containing_service.full_name]],
        }
        text = self._comments.get(method.full_name, "")
        if text:
            summary = _summary(text)
            operation["summary"] = summary
            if text != summary:
                operation["description"] = text
        if method.GetOptions().deprecated:
            operation["deprecated"] = True
        parameters = [*self._path_parameters(binding, parts), *self._query_parameters(binding)]
        if parameters:
            operation["parameters"] = parameters
        if binding.body:
            operation["requestBody"] = {"content": self._request_content(binding)}
        operation["responses"] = self._responses(binding)
        return operation

    def _operation_id(self, method: MethodDescriptor) -> str:
        name = f"{self._tags[method.containing_service.full_name]}_{method.name}"
        self._operations[name] += 1
        count = self._operations[name]
        return name if count == 1 else f"{name}_{count}"

    def _path_parameters(self, binding: Binding, parts: Sequence[Part]) -> Iterator[Json]:
        for part in parts:
            parameter: Json = {"name": part.name, "in": "path", "required": True}
            if part.variable is None:
                yield {**parameter, "schema": {"type": "string"}}
                continue
            fields = resolve(binding.method.input_type, part.variable.path)
            if part.variable.multi:
                pattern = "/".join(
                    map(str, binding.template.segments[part.variable.start : part.variable.end])
                )
                text = f"Part of `{'.'.join(part.variable.path)}`, which is `{pattern}`"
                text += "; may hold several segments." if part.rest else "."
                yield {**parameter, "description": text, "schema": {"type": "string"}}
            else:
                text = self._comments.get(fields[-1].full_name, "")
                if not text and part.name != json_path(fields):
                    text = f"The field `{json_path(fields)}`."
                described = {"description": text} if text else {}
                yield {**parameter, **described, "schema": self.components.value(fields[-1])}

    def _query_parameters(self, binding: Binding) -> Iterator[Json]:
        if binding.body == "*":
            return
        bound = {variable.path for variable in binding.template.variables}
        for fields in leaves(binding.method.input_type, depth=_QUERY_DEPTH):
            path = tuple(field.name for field in fields)
            if path in bound or path[0] == binding.body:
                continue
            field = fields[-1]
            schema = self.components.field(field)
            if schema.pop("readOnly", False):
                continue
            description = schema.pop("description", "")
            parameter: Json = {"name": json_path(fields), "in": "query"}
            if description:
                parameter["description"] = description
            if len(fields) == 1 and is_required(field):
                parameter["required"] = True
            if schema.pop("deprecated", False):
                parameter["deprecated"] = True
            if map_entry(field) is not None:
                # In this style a map is spelled as the gateway reads it: one parameter `labels[key]` per
                # entry.
                parameter |= {"style": "deepObject", "explode": True}
            yield {**parameter, "schema": schema}

    def _request_content(self, binding: Binding) -> Json:
        descriptor = binding.method.input_type
        if binding.body != "*":
            return self._content_of_field(descriptor.fields_by_name[binding.body])
        bound = {variable.path[0] for variable in binding.template.variables if len(variable.path) == 1}
        if bound:
            # "[...] every field not bound by the path template should be mapped to the request body." -
            # google/api/http.proto
            return {"application/json": {"schema": self.components.properties(descriptor, bound)}}
        return self._content_of(descriptor)

    def _responses(self, binding: Binding) -> Json:
        method = binding.method
        described = self._comments.get(method.output_type.full_name, "")
        if binding.response_body:
            content = self._content_of_field(method.output_type.fields_by_name[binding.response_body])
        else:
            content = self._content_of(method.output_type)
        if method.server_streaming:
            content = {_STREAM: {"schema": self._line(next(iter(content.values()))["schema"])}}
        error = {"schema": self.components.message(status_pb2.Status.DESCRIPTOR)}
        return {
            "200": {"description": _summary(described) or "OK", "content": content},
            "default": {"description": "An error.", "content": {"application/json": error}},
        }

    def _line(self, result: Json) -> Json:
        status = self.components.message(status_pb2.Status.DESCRIPTOR)
        return {
            "type": "object",
            "description": "One line of the stream: a result, or the error that ends it.",
            "properties": {"result": result, "error": status},
        }

    def _content_of(self, descriptor: Descriptor) -> Json:
        media_type = "*/*" if descriptor.full_name == HTTP_BODY else "application/json"
        return {media_type: {"schema": self.components.message(descriptor)}}

    def _content_of_field(self, field: FieldDescriptor) -> Json:
        raw = is_message(field) and message_of(field).full_name == HTTP_BODY
        return {"*/*" if raw else "application/json": {"schema": self.components.field(field)}}

    def __repr__(self) -> str:
        return f"<Writer of {len(self._table.bindings)} bindings>"


def _method(binding: Binding) -> str:
    if binding.http_method == ANY_METHOD:
        return "post" if binding.body else "get"
    return binding.http_method.lower()


def _summary(text: str) -> str:
    """Return the first sentence of a comment, on one line."""
    paragraph = " ".join(text.split("\n\n", 1)[0].split())
    sentence, stop, _ = paragraph.partition(". ")
    return sentence + stop.strip()
