"""How messages of one type travel between JSON and the wire, and what is said of input that does not fit.

The rules are those of ProtoJSON, https://protobuf.dev/programming-guides/json/; where `google.protobuf.json_format` is
laxer than they are, the stricter reading is taken, and tests/gateway/codec lists each such case. How large a document
may be is decided where its bytes are read: one that is too large never gets here whole.
"""

from __future__ import annotations

from typing import Any, cast

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, EncodeError, Message
from google.protobuf.message_factory import GetMessageClass

from gateway.codec.decode import Decoders
from gateway.codec.duplicate import find_duplicates
from gateway.codec.encode import Encode, Encoders
from gateway.codec.fault import Fault, join
from gateway.codec.option import Options
from gateway.codec.unencodable import Unencodable, locate
from gateway.problem import RequestProblem, Violation, refuse
from mesh.call import Code


class Codec:
    """Read and print messages of one type; functions are compiled at first use and shared by `for_message`."""

    def __init__(self, descriptor: Descriptor, *, options: Options = Options()) -> None:  # noqa: B008 - frozen
        self.descriptor = descriptor
        self.options = options
        self.message_class: type[Message] = GetMessageClass(descriptor)
        self._decoders = Decoders(options)
        self._encoders = Encoders(options)

    def __repr__(self) -> str:
        return f"Codec({self.descriptor.full_name}, {self.options})"

    def for_message(self, descriptor: Descriptor) -> Codec:
        """Return a codec of another message type that shares this one's compiled functions."""
        other = Codec(descriptor, options=self.options)
        other._decoders, other._encoders = self._decoders, self._encoders
        return other

    def decode(self, data: bytes) -> Message:
        """Read a JSON document into a message.

        Required fields may still be missing, for a route may bind them from elsewhere: see `check_required`.
        Raises RequestProblem with every violation found.
        """
        return self.decode_value(parse(data))

    def decode_value(self, value: object, path: str = "") -> Message:
        """Read a JSON value, already parsed, into a message; `path` says where the value comes from."""
        message = self.message_class()
        if faults := self._decoders.of(self.descriptor)(value, message, self.options.depth):
            raise _request_problem(faults, path)
        return message

    def decode_wire(self, data: bytes) -> bytes:
        """Read a JSON document into the wire form of a message, all of whose required fields must be there."""
        message = self.decode(data)
        try:
            return message.SerializeToString()
        except EncodeError:  # which says that fields are missing, but not where
            check_required(message)
            raise

    def encode(self, message: Message) -> bytes:
        """Print a message as a JSON document; raises RequestProblem (INTERNAL) for one that has no JSON form."""
        return self._print(self._encoders.of(self.descriptor), message, self.options.depth)

    def encode_value(self, message: Message) -> Any:
        """Print a message as a JSON value that is not yet text."""
        return _run(self._encoders.of(self.descriptor), message, self.options.depth)

    def encode_wire(self, wire: bytes) -> bytes:
        """Print the wire form of a message as a JSON document."""
        try:
            message = self.message_class.FromString(wire)
        except DecodeError:
            raise _response_problem("", f"not a valid {self.descriptor.full_name} on the wire") from None
        return self.encode(message)

    def set_field(self, message: Message, field: FieldDescriptor, value: object, path: str) -> None:
        """Replace one field of a message of any type by a JSON value, null meaning absent; `path` names the field."""
        message.ClearField(field.name)
        # The message is the first level, so what the field holds has one level less.
        if faults := self._decoders.field(field)(value, message, self.options.depth - 1):
            raise _request_problem(faults, path)

    def encode_field(self, message: Message, field: FieldDescriptor) -> bytes:
        """Print one field of a message as a JSON document: its default where it is not set, null for no message."""
        absent = field.message_type is not None and not field.is_repeated and not message.HasField(field.name)
        return (
            b"null" if absent else self._print(self._encoders.field(field), message, self.options.depth - 1)
        )

    def _print(self, encode: Encode, message: Message, depth: int) -> bytes:
        try:
            return orjson.dumps(_run(encode, message, depth))
        except orjson.JSONEncodeError as error:
            # What is left to refuse here is text of a proto2 message that is not UTF-8.
            raise _response_problem("", f"holds text that JSON cannot carry: {error}") from None


def parse(data: bytes, path: str = "") -> object:
    """Return the JSON value of a document; raise RequestProblem for what is none. `path` is what it is for."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise refuse([Violation(path, f"malformed JSON at {place}: {error.msg}")]) from None
    if faults := find_duplicates(data, value):
        raise _request_problem(faults, path)
    return value


def check_required(message: Message) -> None:
    """Raise RequestProblem with a violation for each required field of proto2 that is not set."""
    if not message.IsInitialized():
        missing = cast("Any", message).FindInitializationErrors()
        raise refuse([Violation(_json_path(message, path), "required field is missing") for path in missing])


def _run(encode: Encode, message: Message, depth: int) -> Any:
    try:
        return encode(message, depth)
    except Unencodable as fault:
        path = join(locate(message, fault.message) or "", fault.path)
        raise _response_problem(path, fault.description) from None


def _request_problem(faults: list[Fault], path: str) -> RequestProblem:
    return refuse([Violation(join(path, inner), describe()) for inner, describe in faults])


def _response_problem(path: str, description: str) -> RequestProblem:
    violation = Violation(path, description)
    message = f"the response cannot be written as JSON: {violation}"
    return RequestProblem(message, [violation], code=Code.INTERNAL)


def _json_path(message: Message, path: str) -> str:
    """Return a path of protobuf's, `items[0].unit_price`, in JSON names."""
    names = []
    descriptor: Any = message.DESCRIPTOR
    for part in path.split("."):
        name, bracket, index = part.partition("[")
        field = descriptor.fields_by_name.get(name) if descriptor is not None else None
        names.append((field.json_name if field is not None else name) + bracket + index)
        descriptor = field.message_type if field is not None else None
    return ".".join(names)
