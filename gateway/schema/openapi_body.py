"""Decides which bodies an operation takes: JSON, a form, a file beside fields, a patch, a stream, or bytes as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.bind import content
from gateway.bind.patch import compile_patch
from gateway.bind.upload import takes_form
from gateway.codec.json import Codec
from gateway.codec.scalar import INT32_TYPES, INT64_TYPES, UINT32_TYPES
from gateway.codec.shape import map_entry
from gateway.route.table import Binding
from gateway.schema.json_schema import Components, choice_of, is_required, one_of_each
from gateway.schema.json_type import Json, not_null
from gateway.schema.kind import HTTP_BODY, is_message, is_textual, message_of
from gateway.schema.openapi_example import Examples
from gateway.schema.openapi_parameter import named_fields

LINES: Final = "application/x-ndjson"
BYTES: Final[Json] = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
"""A body that is no JSON."""
# The second is the truth; the first is what generators of clients have code for.
RAW: Final[Json] = {"application/octet-stream": {"schema": BYTES}, "*/*": {"schema": BYTES}}
"""The content of such a body: whatever it says that it is."""
_SAID_TWICE: Final = "What the path says need not be in the body; if it is, it must be the same."


def sent_messages(binding: Binding) -> Iterator[Descriptor]:
    """Yield the message that the body of a binding is, if it is one in JSON."""
    if binding.body == "*":
        yield binding.method.input_type
    elif binding.body:
        field = binding.method.input_type.fields_by_name[binding.body]
        entry = map_entry(field)
        held = field if entry is None else entry[1]
        if held.message_type is not None:
            yield message_of(held)


class Bodies:
    """Writes the request bodies of one document's operations."""

    def __init__(self, components: Components, examples: Examples) -> None:
        self._components = components
        self._examples = examples

    def of(self, binding: Binding) -> Json:
        """Return the request body of a binding that has one."""
        descriptor = binding.method.input_type
        field = None if binding.body == "*" else descriptor.fields_by_name[binding.body]
        if _is_raw(descriptor if field is None else field):
            return {"content": RAW}
        one = self._json(binding, field)
        if binding.method.client_streaming:
            return self._stream(binding, field, one)
        content_types = {content.JSON: one}
        # A codec is made of all that the message holds: not where there is nothing to ask it.
        if binding.http_method == "PATCH" and compile_patch(binding, Codec(descriptor)) is not None:
            # A form has no mask, so a PATCH takes one only with the mask beside it.
            content_types[content.MERGE_PATCH] = one
        elif takes_form(binding):
            content_types |= self._forms(binding, field)
        body: Json = {"content": content_types}
        if field is not None and any(
            variable.path[0] == field.name for variable in binding.template.variables
        ):
            body["description"] = _SAID_TWICE
        # Nothing at all stands for a message of which nothing is said.
        if self._requires_any(binding, field):
            body["required"] = True
        return body

    def _requires_any(self, binding: Binding, field: FieldDescriptor | None) -> bool:
        if field is None:
            return self._components.requires_any(binding.method.input_type, _bound(binding))
        return is_required(field) or (is_message(field) and self._components.requires_any(message_of(field)))

    def _json(self, binding: Binding, field: FieldDescriptor | None) -> Json:
        if field is not None:
            return {"schema": self._components.field(field), **self._examples.field(field, sent=True)}
        descriptor = binding.method.input_type
        bound = _bound(binding)
        # "[...] every field not bound by the path template should be mapped to the request body." -
        # google/api/http.proto
        schema = (
            self._components.properties(descriptor, bound) if bound else self._components.message(descriptor)
        )
        return {"schema": schema, **self._examples.message(descriptor, sent=True, without=bound)}

    def _stream(self, binding: Binding, field: FieldDescriptor | None, one: Json) -> Json:
        lines = {**one, "schema": {**one["schema"], "title": "One line of the stream"}}
        bodies = {LINES: lines}
        if field is None or not field.is_repeated:
            array: Json = {"schema": {"type": "array", "items": one["schema"]}}
            if "example" in one:
                array["example"] = [one["example"]]
            bodies[content.JSON] = array
        if takes_form(binding):
            bodies |= self._multipart(binding, field)
        text = "A stream of messages: JSON values one after another, in lines, or as the items of one array."
        return {"description": text, "content": bodies}

    def _forms(self, binding: Binding, field: FieldDescriptor | None) -> Json:
        descriptor = binding.method.input_type if field is None else message_of(field)
        bound = _bound(binding) if field is None else frozenset()
        form = _Form()
        for fields in named_fields(descriptor):
            if fields[0].name in bound:
                continue
            last = fields[-1]
            schema = not_null(self._components.field(last))
            name = ".".join(self._components.name(one) for one in fields)
            if map_entry(last) is not None:
                form.put_entries(name, last, not_null(schema["additionalProperties"]))
            elif not schema.get("readOnly"):
                form.put(name, schema, last, required=len(fields) == 1 and is_required(last))
        if form.is_empty:
            return {}
        return {content.FORM: {"schema": form.schema()}, **self._multipart(binding, field)}

    def _multipart(self, binding: Binding, field: FieldDescriptor | None) -> Json:
        """Return the form of parts, for messages that have a place for a file."""
        descriptor = binding.method.input_type if field is None else message_of(field)
        if not any(map(_is_file, descriptor.fields)):
            return {}
        bound = _bound(binding) if field is None else frozenset()
        form = _Form()
        encoding: Json = {}
        for part in descriptor.fields:
            schema = self._components.field(part)
            if part.name in bound or schema.get("readOnly"):
                continue
            name = self._components.name(part)
            if _is_file(part):
                schema = {"type": "array", "items": BYTES} if part.is_repeated else BYTES
            elif not is_textual(part):
                encoding[name] = {"contentType": content.JSON}
            form.put(name, not_null(schema), part, required=is_required(part))
        parts = {"schema": form.schema(), **({"encoding": encoding} if encoding else {})}
        return {content.MULTIPART: parts}

    def __repr__(self) -> str:
        return f"<Bodies of {self._components!r}>"


def is_raw_answer(binding: Binding) -> bool:
    """Whether answers of a binding are bytes as they are."""
    output = binding.method.output_type
    return _is_raw(output.fields_by_name[binding.response_body] if binding.response_body else output)


def _is_raw(of: Descriptor | FieldDescriptor) -> bool:
    if isinstance(of, FieldDescriptor):
        return is_message(of) and message_of(of).full_name == HTTP_BODY
    return of.full_name == HTTP_BODY


def _is_file(field: FieldDescriptor) -> bool:
    return field.type == FieldDescriptor.TYPE_BYTES or _is_raw(field)


def _bound(binding: Binding) -> frozenset[str]:
    return frozenset(variable.path[0] for variable in binding.template.variables if len(variable.path) == 1)


class _Form:
    """The schema of one form being written: its fields side by side, wherever they lie in the message."""

    def __init__(self) -> None:
        self._properties: Json = {}
        self._entries: Json = {}
        self._required: list[str] = []
        self._choices: dict[tuple[str, str], list[str]] = {}

    @property
    def is_empty(self) -> bool:
        return not self._properties and not self._entries

    def put(self, name: str, schema: Json, field: FieldDescriptor, *, required: bool) -> None:
        self._properties[name] = schema
        if required:
            self._required.append(name)
        if choice := choice_of(field):
            self._choices.setdefault((name.rpartition(".")[0], choice[0].name), []).append(name)

    def put_entries(self, name: str, field: FieldDescriptor, schema: Json) -> None:
        escaped = name.replace(".", "\\.")
        self._entries[f"^{escaped}\\[{_key_pattern(field)}\\]$"] = schema

    def schema(self) -> Json:
        schema: Json = {"type": "object", "properties": self._properties, "additionalProperties": False}
        if self._required:
            schema["required"] = self._required
        if self._entries:
            schema["patternProperties"] = self._entries
        if choices := one_of_each(names for names in self._choices.values() if len(names) > 1):
            schema["allOf"] = choices
        return schema

    def __repr__(self) -> str:
        return f"<Form {len(self._properties)} fields>"


def _key_pattern(field: FieldDescriptor) -> str:
    """Return a pattern of keys, all of which fit: numbers as long as the type's longest may be too large."""
    key = field.message_type.fields_by_name["key"] if field.message_type is not None else field
    if key.type == FieldDescriptor.TYPE_BOOL:
        return "(true|false)"
    if key.type == FieldDescriptor.TYPE_STRING:
        return ".*"
    digits = 8 if key.type in INT32_TYPES | UINT32_TYPES else 17
    sign = "-?" if key.type in INT32_TYPES | INT64_TYPES else ""
    return f"(0|{sign}[1-9][0-9]{{0,{digits}}})"
