"""Decides what one piece of text, from a path or a query, means: the codec's rules, for text.

JSON tells `true` from `"true"`, text does not: so booleans are read as the keys of JSON objects are, and the
other scalars and enums as JSON strings are. A FieldMask may also be given in proto names, which clients of
REST APIs know from documentation and error messages alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from gateway.codec.fault import Faults, Refusal, shown
from gateway.codec.scalar import key_reader, leaf_of
from gateway.codec.shape import WRAPPERS
from gateway.codec.wellknown import decode_duration, decode_timestamp
from gateway.schema.kind import message_of

# AIP-134 has "*" mean every field, AIP-161 have it stand for every element; a map's key may be a number.
_MASK_PATH: Final = r"(\*|[A-Za-z][A-Za-z0-9_]*)(\.(\*|[A-Za-z0-9_]+))*"
_MASK: Final = re.compile(f"{_MASK_PATH}(,{_MASK_PATH})*")
_HUMP: Final = re.compile(r"[A-Z]")
_READERS: Final[dict[str, Callable[[object, Any, int], Faults]]] = {
    "google.protobuf.Timestamp": decode_timestamp,
    "google.protobuf.Duration": decode_duration,
}


class Text(NamedTuple):
    """How text becomes one value of a field."""

    read: Callable[[str], Any]
    """The value to assign, or the message to copy; raises ValueError for text that does not fit."""
    expected: str
    """What fits, in words."""


def text_of(field: FieldDescriptor) -> Text:
    """Return how text is read for one value of a scalar, enum or textual message field."""
    if field.message_type is not None:
        return _message_text(field)
    # Types without a JSON literal of their own are read from strings by the codec; booleans only are not.
    leaf = key_reader(field) if field.type == FieldDescriptor.TYPE_BOOL else leaf_of(field)
    return Text(leaf.read, leaf.expected)


def explain(text: str, expected: str, error: ValueError) -> str:
    """Return the description of a violation: text that did not fit."""
    return str(error) if isinstance(error, Refusal) else f"expected {expected}, got {shown(text)}"


def _message_text(field: FieldDescriptor) -> Text:
    descriptor = message_of(field)
    message_class: type[Message] = message_factory.GetMessageClass(descriptor)
    if descriptor.full_name in WRAPPERS:
        inner = text_of(descriptor.fields_by_name["value"])

        def read_wrapper(text: str) -> Message:
            return message_class(value=inner.read(text))

        return Text(read_wrapper, inner.expected)
    if descriptor.full_name == "google.protobuf.FieldMask":

        def read_mask(text: str) -> Message:
            if text and not _MASK.fullmatch(text):
                raise ValueError
            return message_class(paths=map(_snake, text.split(",")) if text else ())

        return Text(read_mask, 'field paths such as "userName,address.city"')
    reader = _READERS[descriptor.full_name]

    def read_message(text: str) -> Message:
        message = message_class()
        if faults := reader(text, message, 1):
            raise Refusal(faults[0].describe())
        return message

    return Text(read_message, "")


def _snake(path: str) -> str:
    """Return a path of a mask in proto names; one with an underscore is in proto names already."""
    return path if "_" in path else _HUMP.sub(lambda hump: "_" + hump[0].lower(), path)
