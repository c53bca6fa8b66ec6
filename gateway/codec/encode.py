"""How a message type becomes a function that prints its messages as JSON values.

One straight-line Python function is generated per message type, at its first use; wide and extendable types get a
loop over the fields that are set. Presence is asked of protobuf only where a field has it: `HasField` costs as much
as two reads, so a field whose default is empty is read first.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from gateway.codec import dynamic, wellknown
from gateway.codec.enumeration import NULL_VALUE, printed_names
from gateway.codec.fault import TOO_DEEP, join, shown
from gateway.codec.option import Options
from gateway.codec.scalar import DOUBLE_MAX, INT64_TYPES, UINT64_TYPES, print_float, print_special
from gateway.codec.shape import ANY, SPECIAL, VALUE, WRAPPERS, in_choice, map_entry, printed_name
from gateway.codec.source import Source
from gateway.codec.unencodable import Unencodable, locate

Encode = Callable[[Any, int], Any]
"""Prints a message, at most so many messages deep, or raises Unencodable."""

_HANDWRITTEN: Final[dict[str, Encode]] = {
    "google.protobuf.Timestamp": wellknown.encode_timestamp,
    "google.protobuf.Duration": wellknown.encode_duration,
    "google.protobuf.FieldMask": wellknown.encode_field_mask,
    "google.protobuf.Struct": dynamic.encode_struct,
    VALUE: dynamic.encode_value,
    "google.protobuf.ListValue": dynamic.encode_list,
}
# From about this many questions of presence on, one ListFields and a call per field that is set is the cheaper way.
_ASKS_WORTH_IT: Final = 12


class Encoders:
    """Compile and keep the encoders of message types; one instance serves one set of options."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._messages: dict[Descriptor, Encode] = {}
        self._fields: dict[FieldDescriptor, Encode] = {}

    def __repr__(self) -> str:
        return f"Encoders({len(self._messages)} message types, {self._options})"

    def of(self, descriptor: Descriptor) -> Encode:
        """Return the encoder of a message type."""
        if (encode := self._messages.get(descriptor)) is None:
            encode = self._messages[descriptor] = self._compile(descriptor)
        return encode

    def field(self, field: FieldDescriptor) -> Encode:
        """Return a printer of one field of the message it is given, set or not."""
        if (encode := self._fields.get(field)) is None:
            source = self._source()
            source.add(f"return {self._print(source, field, source.access(field).get)}")
            encode = self._fields[field] = source.build(f"encode field {field.full_name}")
        return encode

    def _compile(self, descriptor: Descriptor) -> Encode:
        name = descriptor.full_name
        if name in _HANDWRITTEN:
            return _HANDWRITTEN[name]
        if name == ANY:
            return self._encode_any
        if descriptor.is_extendable or _asks(descriptor) > _ASKS_WORTH_IT:
            return self._compile_sparse(descriptor)
        source = self._source()
        source.add("if depth < 1: raise Unencodable(m, TOO_DEEP)")
        if name in WRAPPERS:
            source.add(f"return {self._print(source, descriptor.fields_by_name['value'], 'm.value')}")
            return source.build(f"encode {name}")
        source.add("depth -= 1", "d = {}")
        grouped: set[str] = set()
        for field in descriptor.fields:
            oneof = field.containing_oneof
            if oneof is None or not in_choice(field):
                self._write_field(source, field)
            elif oneof.name not in grouped:
                grouped.add(oneof.name)
                source.add(f"w = m.WhichOneof({oneof.name!r})")
                for branch, member in enumerate(oneof.fields):
                    source.add(
                        f"{'elif' if branch else 'if'} w == {member.name!r}: {self._entry(source, member)}"
                    )
        source.add("return d")
        return source.build(f"encode {name}")

    def _compile_sparse(self, descriptor: Descriptor) -> Encode:
        """Return an encoder that asks which fields are set, extensions among them, and prints those."""
        options = self._options
        printers: dict[FieldDescriptor, tuple[str, Encode]] = {}
        defaults = [field for field in descriptor.fields if options.emit_defaults and not field.has_presence]

        def printer(field: FieldDescriptor) -> tuple[str, Encode]:
            name = f"[{field.full_name}]" if field.is_extension else printed_name(field, options)
            printers[field] = found = name, self.field(field)
            return found

        def encode(message: Message, depth: int) -> dict[str, Any]:
            if depth < 1:
                raise Unencodable(message, TOO_DEEP)
            printed = {}
            for field, _ in message.ListFields():
                name, write = printers.get(field) or printer(field)
                printed[name] = write(message, depth - 1)
            for field in defaults:
                name, write = printers.get(field) or printer(field)
                if name not in printed:
                    printed[name] = write(message, depth - 1)
            return printed

        return encode

    def _source(self) -> Source:
        return Source(
            "m, depth",
            TOO_DEEP=TOO_DEEP,
            Unencodable=Unencodable,
            base64=binascii.b2a_base64,
            copysign=math.copysign,
            print_float=print_float,
            print_special=print_special,
        )

    def _write_field(self, source: Source, field: FieldDescriptor) -> None:
        get = source.access(field).get
        key = printed_name(field, self._options)
        if field.is_repeated or not field.has_presence:
            source.add(f"v = {get}")
            put = f"d[{key!r}] = {self._print(source, field, 'v')}"
            if self._options.emit_defaults:
                source.add(put)
            elif (
                field.type in {FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE}
                and not field.is_repeated
            ):
                # Minus zero is false in Python, and not the default.
                source.add(f"if v or copysign(1.0, v) < 0.0: {put}")
            else:
                source.add(f"if v: {put}")
        elif field.message_type is not None or field.default_value:
            source.add(f"if m.HasField({field.name!r}): {self._entry(source, field)}")
        else:
            source.add(
                f"v = {get}",
                f"if v or m.HasField({field.name!r}): d[{key!r}] = {self._print(source, field, 'v')}",
            )

    def _entry(self, source: Source, field: FieldDescriptor) -> str:
        value = self._print(source, field, "v")
        return f"v = {source.access(field).get}; d[{printed_name(field, self._options)!r}] = {value}"

    def _print(self, source: Source, field: FieldDescriptor, value: str) -> str:
        """Return the expression that prints the value of a field."""
        if (pair := map_entry(field)) is not None:
            key, entry = pair
            name = {FieldDescriptor.TYPE_STRING: "k", FieldDescriptor.TYPE_BOOL: "'true' if k else 'false'"}
            printed = self._print_one(source, entry, "x")
            return f"{{{name.get(key.type, 'str(k)')}: {printed} for k, x in {value}.items()}}"
        if not field.is_repeated:
            return self._print_one(source, field, value)
        printed = self._print_one(source, field, "x")
        # A slice is a list, made in C.
        return f"{value}[:]" if printed == "x" else f"[{printed} for x in {value}[:]]"

    def _print_one(self, source: Source, field: FieldDescriptor, value: str) -> str:
        if field.message_type is not None:
            descriptor = field.message_type
            return f"{source.link(lambda: self.of(descriptor))}({value}, depth)"
        if field.enum_type is not None:
            if self._options.enum_numbers:
                return value
            if field.enum_type.full_name == NULL_VALUE:
                return "None"
            return f"{source.constant(printed_names(field.enum_type))}.get({value}, {value})"
        if field.type in INT64_TYPES or field.type in UINT64_TYPES:
            return f"str({value})"
        if field.type == FieldDescriptor.TYPE_BYTES:
            return f"base64({value}, newline=False).decode()"
        if field.type == FieldDescriptor.TYPE_FLOAT:
            return f"print_float({value})"
        if field.type == FieldDescriptor.TYPE_DOUBLE:
            return f"{value} if {-DOUBLE_MAX!r} <= {value} <= {DOUBLE_MAX!r} else print_special({value})"
        return value

    def _encode_any(self, message: Any, depth: int) -> dict[str, object]:
        """Print an Any; the type is looked up in the pool the Any itself comes from."""
        if depth < 1:
            raise Unencodable(message, TOO_DEEP)
        url = message.type_url
        if not url and not message.value:
            return {}
        try:
            descriptor = message.DESCRIPTOR.file.pool.FindMessageTypeByName(url.rpartition("/")[2])
            content = GetMessageClass(descriptor).FromString(message.value)
        except KeyError:
            raise Unencodable(message, f"unknown message type {shown(url)}", '["@type"]') from None
        except DecodeError:
            raise Unencodable(message, f"content is not a valid {descriptor.full_name}", "value") from None
        try:
            inner = self.of(descriptor)(content, depth - 1)
        except Unencodable as fault:
            path = join(locate(content, fault.message) or "", fault.path)
            raise Unencodable(message, fault.description, path) from None
        if descriptor.full_name in SPECIAL:
            return {"@type": url, "value": inner}
        return {"@type": url, **inner}


def _asks(descriptor: Descriptor) -> int:
    """Count the fields of which straight-line code would have to ask whether they are set."""
    return sum(field.has_presence and not in_choice(field) for field in descriptor.fields)
