"""Decides how the requests of a method whose client streams are read: of a body in pieces, or of frames.

Path and query belong to the first message, as google.api.http binds them to one: the others are what the body alone says.
A body without a message is a stream without one, unless path or query say something: that is a message, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from gateway.bind import content
from gateway.bind.body import compile_body
from gateway.bind.request import Bind, QueryOptions, compile_bound, compile_envelope, compile_request
from gateway.bind.split import JsonSplitter
from gateway.bind.upload import Open, Reader, compile_upload
from gateway.codec.json import Codec, check_required
from gateway.problem import RequestProblem
from gateway.route.table import Binding

LINES: Final = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)
"""Media types of JSON values on lines of their own."""


class Requests:
    """How one binding's messages are made of what its clients send; compiled at load."""

    __slots__ = (
        "_arrays",
        "_bind",
        "_class",
        "_envelope",
        "_limit",
        "_read",
        "_upload",
        "_wire",
        "takes_body",
    )

    def __init__(self, binding: Binding, codec: Codec, options: QueryOptions, limit: int) -> None:
        """`codec` is that of the method's input type; `limit`: bytes of one message."""
        field = binding.method.input_type.fields_by_name.get(binding.body)
        self.takes_body = bool(binding.body)
        self._class: type[Message] = GetMessageClass(binding.method.input_type)
        self._limit = limit
        # A field that is a list itself begins with "[" in every message.
        self._arrays = field is None or not field.is_repeated
        self._bind: Bind = compile_request(binding, codec, options)
        self._read = compile_body(binding, codec)
        self._envelope = compile_envelope(binding, options)
        self._upload: Open = compile_upload(binding, codec, limit)
        self._wire = compile_bound(replace(binding, body="*"), self._parse, options)

    def reader(self, captures: Sequence[str], query: bytes, content_type: str) -> Reader:
        """Return what reads a body; raise RequestProblem for a content type that is not read."""
        if self.takes_body:
            upload = self._upload(self._envelope(captures, query), content_type)
            if upload is not None:
                return upload
            if content_type not in content.PLAIN and content.media_type(content_type) not in LINES:
                content.check(content_type, f"send application/json or {min(LINES)}")
        return _JsonReader(self, captures, query, JsonSplitter(self._limit, arrays=self._arrays))

    def first(self, captures: Sequence[str], query: bytes, value: bytes) -> Message:
        """Return the first message, of a JSON value or of nothing at all."""
        return self._bind(captures, query, value, "")

    def next(self, value: bytes) -> Message:
        """Return a later message, of a JSON value."""
        message = self._read(value, "")
        check_required(message)
        return message

    def first_of_wire(self, captures: Sequence[str], query: bytes, wire: bytes) -> Message:
        """Return the first message, of the wire form of the whole of it."""
        return self._wire(captures, query, wire, "")

    def next_of_wire(self, wire: bytes) -> Message:
        """Return a later message, of its wire form."""
        message = self._parse(wire, "")
        check_required(message)
        return message

    def _parse(self, wire: bytes, _: str) -> Message:
        try:
            return self._class.FromString(wire)
        except DecodeError:
            raise RequestProblem(f"the frame is not a valid {self._class.DESCRIPTOR.full_name}") from None

    def __repr__(self) -> str:
        return f"<Requests {self._class.DESCRIPTOR.full_name}>"


class _JsonReader:
    """A body of JSON values."""

    __slots__ = ("_captures", "_count", "_query", "_requests", "_splitter")

    def __init__(
        self, requests: Requests, captures: Sequence[str], query: bytes, splitter: JsonSplitter
    ) -> None:
        self._requests = requests
        self._captures = captures
        self._query = query
        self._splitter = splitter
        self._count = 0

    def feed(self, piece: bytes) -> list[Message]:
        return [self._read(value) for value in self._splitter.feed(piece)]

    def finish(self) -> list[Message]:
        messages = [self._read(value) for value in self._splitter.finish()]
        if not self._count and (self._captures or self._query or not self._requests.takes_body):
            messages.append(self._requests.first(self._captures, self._query, b""))
        return messages

    def _read(self, value: bytes) -> Message:
        self._count += 1
        try:
            if self._count == 1:
                return self._requests.first(self._captures, self._query, value)
            return self._requests.next(value)
        except RequestProblem as problem:
            raise _numbered(problem, self._count) from None

    def __repr__(self) -> str:
        return f"<JsonReader count={self._count}>"


def _numbered(problem: RequestProblem, count: int) -> RequestProblem:
    """Return the problem of a message with its number in the stream, which its path does not say."""
    return RequestProblem(
        f"message {count}: {problem.message}",
        problem.violations,
        code=problem.code,
        http_status=problem.http_status,
        headers=problem.headers,
    )
