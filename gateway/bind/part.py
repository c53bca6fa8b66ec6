"""Decides where the parts of a multipart/form-data body begin and end (RFC 7578), piece by piece, in bounded memory."""

from __future__ import annotations

import logging
from typing import Final, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.bind import content
from gateway.bind.form import MOST_FIELDS
from gateway.problem import RequestProblem

MOST_HEADER_BYTES: Final = 8192
"""The headers of one part."""
_DISPOSITION: Final = b"content-disposition"
_TYPE: Final = b"content-type"
_ENCODING: Final = b"content-transfer-encoding"
_AS_IT_IS: Final = frozenset({b"7bit", b"8bit", b"binary"})
# The parser warns in the log of each malformed body: what a client did wrong is told to the client.
_UNHEARD: Final = logging.Logger("gateway.bind.part", logging.CRITICAL)  # noqa: LOG001 - nobody is to hear it


class Part(NamedTuple):
    """The head of a part; its data follows."""

    name: str
    filename: str | None
    """None for a part that is not a file."""
    content_type: str
    """As the client says, or empty."""


Event = Part | bytes | None
"""A part begins, a piece of its data, its end."""


class PartParser:
    """Turns the pieces of a body into events."""

    def __init__(self, content_type: str) -> None:
        _, parameters = parse_options_header(content_type)
        boundary = parameters.get(b"boundary", b"")
        # RFC 2046, 5.1.1: "boundary delimiters must [...] be no longer than 70 characters".
        if not 1 <= len(boundary) <= 70:
            raise RequestProblem('content type "multipart/form-data" needs a boundary of 1 to 70 characters')
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._data,
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
        )
        self._parser.logger = _UNHEARD
        self._events: list[Event] = []
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._header_bytes = 0
        self._parts = 0
        self._ended = False

    def feed(self, piece: bytes) -> list[Event]:
        """Return what a piece of the body brings; raise RequestProblem for what is no multipart body."""
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise _malformed(str(error)) from None
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """Raise RequestProblem if the body ended before its last boundary."""
        if not self._ended:
            raise _malformed("it ends before its last boundary")

    # What the parser calls, in the order of the body

    def _begin(self) -> None:
        self._headers, self._header_bytes = {}, 0
        self._parts += 1
        if self._parts > MOST_FIELDS:
            raise RequestProblem(f"a form may have {MOST_FIELDS} parts, and this one has more")

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._value += data[start:end]

    def _count_header(self, length: int) -> None:
        self._header_bytes += length
        if self._header_bytes > MOST_HEADER_BYTES:
            raise RequestProblem(f"the headers of a part are larger than {MOST_HEADER_BYTES} bytes")

    def _header_end(self) -> None:
        name = self._name.lower()
        if name in self._headers:
            raise _malformed(f'a part has two headers "{name.decode("latin-1")}"')
        self._headers[name] = self._value
        self._name = self._value = b""

    def _headers_finished(self) -> None:
        kind, parameters = parse_options_header(self._headers.get(_DISPOSITION))
        name = parameters.get(b"name")
        # RFC 7578, 4.2: "Each part MUST contain a Content-Disposition header field [RFC2183] where the disposition type
        # is "form-data". The Content-Disposition header field MUST also contain an additional parameter of "name"".
        if kind != b"form-data" or not name:
            raise _malformed("a part is without `content-disposition: form-data` and a name")
        encoding = self._headers.get(_ENCODING, b"binary").strip().lower()
        if encoding not in _AS_IT_IS:
            # RFC 7578, 4.7: "Currently, no deployed implementations that send such bodies have been discovered".
            raise _malformed(f'a part is encoded as "{encoding.decode("latin-1")}": send it as it is')
        filename = parameters.get(b"filename")
        self._events.append(
            Part(
                _utf8(name),
                None if filename is None else _utf8(filename),
                self._headers.get(_TYPE, b"").decode("latin-1").strip(),
            )
        )

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _part_end(self) -> None:
        self._events.append(None)

    def _end(self) -> None:
        self._ended = True

    def __repr__(self) -> str:
        return f"<PartParser parts={self._parts} ended={self._ended}>"


def _utf8(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise _malformed("the name of a part is not UTF-8") from None


def _malformed(why: str) -> RequestProblem:
    return RequestProblem(f"the body is not {content.MULTIPART}: {why}")
