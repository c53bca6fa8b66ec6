"""Decides which parameters an operation has: what the path, the query and the headers of a request say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.bind.field import leaves
from gateway.codec.shape import SPECIAL, map_entry
from gateway.route.table import Binding
from gateway.schema.json_schema import Components, at_most_one, choice_of, is_required
from gateway.schema.json_type import Json, not_null
from gateway.schema.kind import message_of, resolve
from gateway.schema.openapi_path import Part
from mesh.config.edge import Rest

_QUERY_DEPTH: Final = 4
"""How deep a field may lie to be listed as a query parameter; deeper ones can be given all the same."""

IF_NONE_MATCH: Final[Json] = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The `ETag` of an answer that the client has: it is not sent again while it holds.",
    "schema": {"type": "string"},
}
RANGE: Final[Json] = {
    "name": "Range",
    "in": "header",
    "description": "The bytes that are wanted, such as `bytes=0-499`.",
    "schema": {"type": "string"},
}


def named_fields(descriptor: Descriptor) -> Iterator[tuple[FieldDescriptor, ...]]:
    """Yield the fields that a query or a form can name, each with the way to it."""
    for fields in leaves(descriptor, depth=_QUERY_DEPTH):
        # The parts of a Value or an Any can be given; nobody should.
        if not any(message_of(field).full_name in SPECIAL for field in fields[:-1]):
            yield fields


class Parameters:
    """Writes the parameters of one document's operations."""

    def __init__(self, components: Components, comments: Mapping[str, str]) -> None:
        self._components = components
        self._comments = comments

    def of(self, binding: Binding, parts: Sequence[Part], rest: Rest | None, *, raw: bool) -> list[Json]:
        """Return the parameters of a binding; `raw`: its answers are files, not JSON."""
        found = [*self._path(binding, parts), *self._query(binding)]
        if rest is not None and rest.last_event_id:
            found.append(self._last_event_id(binding, rest.last_event_id))
        if binding.http_method == "GET" and not binding.method.server_streaming:
            if rest is not None and rest.cache is not None:
                found.append(IF_NONE_MATCH)
            if raw:
                found.append(RANGE)
        return found

    def json_path(self, fields: Sequence[FieldDescriptor]) -> str:
        """Return the path to a field in the names that JSON has."""
        return ".".join(self._components.name(field) for field in fields)

    def _path(self, binding: Binding, parts: Sequence[Part]) -> Iterator[Json]:
        for part in parts:
            parameter: Json = {"name": part.name, "in": "path", "required": True}
            text_schema: Json = {"type": "string", "minLength": 1}
            if part.variable is None:
                yield {**parameter, "schema": text_schema}
                continue
            fields = resolve(binding.method.input_type, part.variable.path)
            if part.variable.multi:
                pattern = "/".join(
                    map(str, binding.template.segments[part.variable.start : part.variable.end])
                )
                text = f"Part of `{'.'.join(part.variable.path)}`, which is `{pattern}`"
                text += "; may hold several segments." if part.rest else "."
                yield {**parameter, "description": text, "schema": text_schema}
                continue
            text = self._comments.get(fields[-1].full_name, "")
            path = self.json_path(fields)
            if not text and part.name != path:
                text = f"The field `{path}`."
            described = {"description": text} if text else {}
            schema = not_null(self._components.value(fields[-1]))
            yield {
                **parameter,
                **described,
                "schema": text_schema if schema == {"type": "string"} else schema,
            }

    def _query(self, binding: Binding) -> Iterator[Json]:
        if binding.body == "*":
            return
        bound = {variable.path for variable in binding.template.variables}
        for fields in named_fields(binding.method.input_type):
            path = tuple(field.name for field in fields)
            if path in bound or path[0] == binding.body:
                continue
            field = fields[-1]
            schema = not_null(self._components.field(field))
            if schema.pop("readOnly", False):
                continue
            schema.pop("writeOnly", None)
            parameter: Json = {"name": self.json_path(fields), "in": "query"}
            if words := self._words(fields, schema.pop("description", "")):
                parameter["description"] = words
            if len(fields) == 1 and is_required(field):
                parameter["required"] = True
            if schema.pop("deprecated", False):
                parameter["deprecated"] = True
            if map_entry(field) is not None:
                # In this style a map is spelled as the gateway reads it: one parameter `labels[key]` per
                # entry.
                parameter |= {"style": "deepObject", "explode": True}
            yield {**parameter, "schema": schema}

    def _words(self, fields: Sequence[FieldDescriptor], comment: str) -> str:
        # Parameters are described one by one: that one excludes another has no other place.
        names = [self.json_path((*fields[:-1], other)) for other in choice_of(fields[-1])]
        return "\n\n".join(part for part in (comment, at_most_one(names) if names else "") if part)

    def _last_event_id(self, binding: Binding, path: str) -> Json:
        fields = resolve(binding.method.input_type, path.split("."))
        return {
            "name": "Last-Event-ID",
            "in": "header",
            "description": f"The id of the last event that came: the stream goes on after it, as by `{self.json_path(fields)}`.",
            "schema": not_null(self._components.value(fields[-1])),
        }

    def __repr__(self) -> str:
        return f"<Parameters of {self._components!r}>"
