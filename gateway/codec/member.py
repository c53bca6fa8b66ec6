"""Which members a JSON object of one message type may have, and what to say of the others."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.codec.container import Decode
from gateway.codec.fault import Faults, add, full, sentence, step, suggestion, under
from gateway.codec.option import Options
from gateway.codec.shape import printed_name, takes_null


class Members:
    """Know the names of a message type's fields, and read what straight-line code leaves over."""

    def __init__(
        self, descriptor: Descriptor, options: Options, decode_field: Callable[[FieldDescriptor], Decode]
    ) -> None:
        self._descriptor = descriptor
        self._options = options
        self._decode_field = decode_field
        # A name that fields are printed with wins over one that is only accepted.
        self._fields = {name: field for field in descriptor.fields for name in (field.name, field.json_name)}
        self._fields |= {printed_name(field, options): field for field in descriptor.fields}

    def __repr__(self) -> str:
        return f"Members({self._descriptor.full_name})"

    def keys_of(self, field: FieldDescriptor) -> tuple[str, ...]:
        """Return the one or two names a field goes by, the printed one first."""
        names = dict.fromkeys((printed_name(field, self._options), field.json_name, field.name))
        return tuple(name for name in names if self._fields[name] is field)

    def rest(self, faults: Faults, value: dict[str, object], message: Message, depth: int) -> Faults:
        """Go through the members of an object that has more of them than were read."""
        extensions: dict[FieldDescriptor, str] = {}
        for name, member in value.items():
            if faults and full(faults):
                break
            field = self._fields.get(name)
            if field is not None:
                first, *others = self.keys_of(field)
                if name in others and first in value:
                    faults = add(faults, first, sentence(f'given twice, as "{first}" and "{name}"'))
            elif (extension := self._extension(name)) is not None:
                if (
                    first := extensions.setdefault(extension, name)
                ) != name:  # a MessageSet's go by two names
                    faults = add(faults, first, sentence(f'given twice, as "{first}" and "{name}"'))
                elif member is not None or takes_null(extension):
                    inner = self._decode_field(extension)(member, message, depth)
                    faults = under(faults, name, inner) if inner else faults
            elif not self._options.ignore_unknown:
                faults = self._unknown(faults, name)
        return faults

    def _extension(self, name: object) -> FieldDescriptor | None:
        if not self._descriptor.is_extendable or type(name) is not str or name[:1] != "[" or name[-1] != "]":
            return None
        try:
            extension = self._descriptor.file.pool.FindExtensionByName(name[1:-1])
        except KeyError:
            return None
        return extension if extension.containing_type is self._descriptor else None

    def _unknown(self, faults: Faults, name: object) -> Faults:
        text = name if type(name) is str else repr(name)
        descriptor, options = self._descriptor, self._options

        def describe() -> str:
            known = [printed_name(field, options) for field in descriptor.fields]
            return f"no such field in {descriptor.full_name}{suggestion(text, known)}"

        return add(faults, step(text), describe)


def second_member(faults: Faults, path: str, first: str, oneof: str) -> Faults:
    """Return `faults` with a oneof of which two members are set."""
    return add(faults, path, sentence(f'only one field of "{oneof}" may be set, and "{first}" is'))
