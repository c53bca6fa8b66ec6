"""Where one message of a stream ends and the next begins: the five bytes that gRPC, gRPC-Web and Connect put before each.

    flags (1 byte) | length (4 bytes, big-endian) | message (length bytes)

"Enveloped-Message -> Envelope-Flags Message-Length Message" - the Connect protocol; gRPC calls it Length-Prefixed-Message.
The splitter is sans-IO: bytes go in as they come, in pieces of any size, and whole envelopes come out.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from gateway.problem import RequestProblem
from mesh.call import Code

HEAD: Final = 5
COMPRESSED: Final = 0x01
_HEAD: Final = struct.Struct(">BI")


class Envelope(NamedTuple):
    """One message as it travels."""

    flags: int
    data: bytes


def pack(flags: int, data: bytes) -> bytes:
    """Return the bytes of one envelope."""
    return _HEAD.pack(flags, len(data)) + data


class Splitter:
    """Finds the envelopes in a stream of bytes."""

    __slots__ = ("_held", "_limit")

    def __init__(self, limit: int) -> None:
        """Refuse messages of more than `limit` bytes, before they have been collected."""
        self._limit = limit
        self._held = bytearray()

    def feed(self, piece: bytes) -> list[Envelope]:
        """Take the next bytes; return the envelopes they complete. Raises RequestProblem for one that is too large."""
        held = self._held
        held += piece
        found: list[Envelope] = []
        start = 0
        while len(held) - start >= HEAD:
            flags, length = _HEAD.unpack_from(held, start)
            if length > self._limit:
                raise too_large(self._limit)
            end = start + HEAD + length
            if len(held) < end:
                break
            found.append(Envelope(flags, bytes(held[start + HEAD : end])))
            start = end
        if start:
            del held[:start]
        return found

    def end(self) -> None:
        """Say that no more bytes come; raises RequestProblem when a message is left incomplete."""
        if self._held:
            raise RequestProblem(
                f"the body ends within a message, {len(self._held)} bytes after its beginning"
            )

    def __repr__(self) -> str:
        return f"<Splitter {len(self._held)} held>"


def too_large(limit: int) -> RequestProblem:
    """Return the refusal of a message over the limit."""
    # gRPC's own servers say RESOURCE_EXHAUSTED of a message larger than they take.
    text = f"the message is larger than the limit of {limit} bytes"
    return RequestProblem(text, code=Code.RESOURCE_EXHAUSTED, http_status=413)
