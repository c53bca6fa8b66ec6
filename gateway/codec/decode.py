"""How a message type becomes a function that reads JSON into its messages.

One straight-line Python function is generated per message type, at its first use. It asks the JSON object for each
field in turn and counts what it found; only when the object holds more than that are its members looked at one by
one, for nulls, second spellings, extensions and unknown names. Generated source beats a loop over one closure per
field by a third.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from gateway.codec import dynamic, wellknown
from gateway.codec.container import Decode, fill_list, fill_map, fill_message_map, fill_messages
from gateway.codec.fault import (
    Faults,
    UnknownName,
    add,
    mismatch,
    shown,
    too_deep,
    under,
)
from gateway.codec.member import Members, second_member
from gateway.codec.option import Options
from gateway.codec.scalar import key_reader, leaf_of
from gateway.codec.shape import ANY, SPECIAL, VALUE, WRAPPERS, in_choice, map_entry, printed_name, takes_null
from gateway.codec.source import Access, Source

ABSENT: Final = object()
_HANDWRITTEN: Final[dict[str, Decode]] = {
    "google.protobuf.Timestamp": wellknown.decode_timestamp,
    "google.protobuf.Duration": wellknown.decode_duration,
    "google.protobuf.FieldMask": wellknown.decode_field_mask,
    "google.protobuf.Struct": dynamic.decode_struct,
    VALUE: dynamic.decode_value,
    "google.protobuf.ListValue": dynamic.decode_list,
}


class Decoders:
    """Compile and keep the decoders of message types; one instance serves one set of options."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._messages: dict[Descriptor, Decode] = {}
        self._fields: dict[FieldDescriptor, Decode] = {}

    def __repr__(self) -> str:
        return f"Decoders({len(self._messages)} message types, {self._options})"

    def of(self, descriptor: Descriptor) -> Decode:
        """Return the decoder of a message type."""
        if (decode := self._messages.get(descriptor)) is None:
            decode = self._messages[descriptor] = self._compile(descriptor)
        return decode

    def field(self, field: FieldDescriptor) -> Decode:
        """Return a decoder of one field, whose `value` is the field's and whose paths start behind its name."""
        if (decode := self._fields.get(field)) is None:
            decode = self._fields[field] = self._compile_field(field)
        return decode

    def _compile(self, descriptor: Descriptor) -> Decode:
        name = descriptor.full_name
        if name in _HANDWRITTEN:
            return _HANDWRITTEN[name]
        if name == ANY:
            return self._decode_any
        if name in WRAPPERS:
            return self._compile_wrapper(descriptor)
        members = Members(descriptor, self._options, self.field)
        source = self._source("v, m, depth")
        source.add(
            "if depth < 1: return too_deep()",
            "if type(v) is not dict: return mismatch(None, '', v, 'an object')",
            "get, size, depth, found, bad = v.get, len(v), depth - 1, 0, None",
        )
        oneofs = {oneof.name: f"o{index}" for index, oneof in enumerate(descriptor.oneofs)}
        source.add(*(f"{variable} = None" for variable in oneofs.values()))
        for field in descriptor.fields:
            if keys := members.keys_of(field):
                self._read_field(source, field, keys, oneofs)
        source.add(f"return bad if found == size else {source.constant(members)}.rest(bad, v, m, depth)")
        return source.build(f"decode {name}")

    def _compile_field(self, field: FieldDescriptor) -> Decode:
        source = self._source("v, m, depth")
        source.add("bad = None")
        if not takes_null(field):
            source.add("if v is None: return None")
        self._assign(source, field, "", indent=1)
        source.add("return bad")
        return source.build(f"decode field {field.full_name}")

    def _compile_wrapper(self, descriptor: Descriptor) -> Decode:
        source = self._source("v, m, depth")
        source.add("if depth < 1: return too_deep()", "bad = None")
        self._assign(source, descriptor.fields_by_name["value"], "", indent=1)
        source.add("return bad")
        return source.build(f"decode {descriptor.full_name}")

    def _source(self, signature: str) -> Source:
        return Source(
            signature,
            ABSENT=ABSENT,
            fill_list=fill_list,
            fill_map=fill_map,
            fill_message_map=fill_message_map,
            fill_messages=fill_messages,
            mismatch=mismatch,
            second_member=second_member,
            too_deep=too_deep,
            under=under,
        )

    def _read_field(
        self, source: Source, field: FieldDescriptor, keys: tuple[str, ...], oneofs: dict[str, str]
    ) -> None:
        label = printed_name(field, self._options)
        absent = "ABSENT" if takes_null(field) else "None"
        default = ", ABSENT" if takes_null(field) else ""
        source.add(f"x = get({keys[0]!r}{default})")
        for other in keys[1:]:
            source.add(f"if x is {absent}: x = get({other!r}{default})")
        source.add(f"if x is not {absent}:")
        source.add("found += 1", indent=2)
        oneof = field.containing_oneof
        if oneof is None or not in_choice(field):
            self._assign(source, field, label, indent=2, value="x")
            return
        member = oneofs[oneof.name]
        source.add(
            f"if {member} is not None: bad = second_member(bad, {label!r}, {member}, {oneof.name!r})",
            "else:",
            indent=2,
        )
        source.add(f"{member} = {label!r}", indent=3)
        self._assign(source, field, label, indent=3, value="x")

    def _assign(
        self, source: Source, field: FieldDescriptor, label: str, *, indent: int, value: str = "v"
    ) -> None:
        """Generate what puts the JSON value named `value` into a field of `m`."""
        access = source.access(field)
        get = access.get
        lenient = self._options.ignore_unknown
        if (pair := map_entry(field)) is not None:
            key, entry = pair
            key_leaf = source.constant(key_reader(key))
            if entry.message_type is not None:
                decode = self._link(source, entry.message_type)
                # An entry is a message on the wire, and counts towards the hundred that parsers allow.
                call = f"fill_message_map(bad, {label!r}, {get}, {value}, {key_leaf}, {decode}, depth - 1)"
            else:
                leaf = source.constant(leaf_of(entry))
                call = f"fill_map(bad, {label!r}, {get}, {value}, {key_leaf}, {leaf}, {lenient})"
            source.add(f"bad = {call}", indent=indent)
        elif field.is_repeated and field.message_type is not None:
            decode = self._link(source, field.message_type)
            source.add(
                f"bad = fill_messages(bad, {label!r}, {get}.add, {value}, {decode}, depth)", indent=indent
            )
        elif field.is_repeated:
            leaf = source.constant(leaf_of(field))
            source.add(f"bad = fill_list(bad, {label!r}, {get}, {value}, {leaf}, {lenient})", indent=indent)
        elif field.message_type is not None:
            decode = self._link(source, field.message_type)
            source.add(
                f"s = {get}",
                "s.SetInParent()",
                f"if p := {decode}({value}, s, depth): bad = under(bad, {label!r}, p)",
                indent=indent,
            )
        else:
            self._assign_leaf(source, field, label, access, indent=indent, value=value)

    def _assign_leaf(
        self, source: Source, field: FieldDescriptor, label: str, access: Access, *, indent: int, value: str
    ) -> None:
        leaf = leaf_of(field)
        read = f"{source.constant(leaf.read)}({value})"
        if leaf.native:
            read = f"{value} if {leaf.native.format(v=value)} else {read}"
        source.add(f"try: {access.put(read)}", indent=indent)
        if field.enum_type is not None and self._options.ignore_unknown:
            source.add(f"except {source.constant(UnknownName)}: pass", indent=indent)
        source.add(
            f"except ValueError as e: bad = mismatch(bad, {label!r}, {value}, {leaf.expected!r}, e)",
            indent=indent,
        )

    def _link(self, source: Source, descriptor: Descriptor) -> str:
        return source.link(lambda: self.of(descriptor))

    def _decode_any(self, value: object, message: Any, depth: int) -> Faults:
        """Read `{"@type": url, ...}`; the type is looked up in the pool the Any itself comes from."""
        if depth < 1:
            return too_deep()
        if type(value) is not dict:
            return mismatch(None, "", value, 'an object with "@type"')
        if not value:
            return None
        url = value.get("@type")
        if type(url) is not str:
            return mismatch(None, '["@type"]', url, "the type of the message, such as a type URL")
        _, slash, name = url.rpartition("/")
        if (
            not slash
        ):  # "This string must contain at least one "/" character" - any.proto; receivers do not unpack it
            return mismatch(
                None, '["@type"]', url, 'a type URL such as "type.googleapis.com/package.Message"'
            )
        try:
            descriptor = message.DESCRIPTOR.file.pool.FindMessageTypeByName(name)
        except KeyError:
            return add(None, '["@type"]', lambda: f"unknown message type {shown(url)}")
        content: Any = GetMessageClass(descriptor)()
        inner: Faults
        rest = {name: member for name, member in value.items() if name != "@type"}
        if descriptor.full_name not in SPECIAL:
            inner = self.of(descriptor)(rest, content, depth - 1)
        elif rest.keys() != {"value"}:
            return add(None, "", lambda: f'expected "@type" and "value" alone for {descriptor.full_name}')
        else:
            inner = self.of(descriptor)(rest["value"], content, depth - 1)
            inner = under(None, "value", inner) if inner else None
        if inner:
            return inner
        if not content.IsInitialized():
            missing = ", ".join(content.FindInitializationErrors())
            return add(None, "", lambda: f"required fields are missing: {missing}")
        # Deterministic, so that equal documents make equal messages.
        message.type_url, message.value = url, content.SerializeToString(deterministic=True)
        return None
