"""A TCP server that is no good gRPC server: it resets, says nothing, speaks HTTP/1, or breaks off its answers."""

from __future__ import annotations

import asyncio
import enum
import socket
import struct
from typing import Final, Self

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# Frame types and flags of RFC 9113, 6.
_DATA, _HEADERS, _RST_STREAM, _SETTINGS = 0x0, 0x1, 0x3, 0x4
_ACK, _END_HEADERS = 0x1, 0x4
_REFUSED_STREAM: Final = struct.pack(">I", 0x7)
# HPACK (RFC 7541): ":status: 200" is entry 8 of the static table, the name "content-type" entry 31.
_RESPONSE_HEADERS: Final = b"\x88\x5f\x10application/grpc"
_PART_OF_A_MESSAGE: Final = b"\x00" + struct.pack(">I", 100) + b"only the beginning"


class Mood(enum.Enum):
    """What becomes of those who connect."""

    SAYS_NOTHING = "says nothing"
    RESETS_CONNECTIONS = "resets connections"
    SPEAKS_HTTP_1 = "speaks HTTP/1"
    REFUSES_STREAMS = "refuses streams"
    RESETS_IN_MID_ANSWER = "resets in mid-answer"


class Wreck:
    """Listens while it is entered."""

    def __init__(self) -> None:
        self.mood = Mood.SAYS_NOTHING
        self.address = ""
        self.connections = 0
        """How many were made so far."""
        self.streams = 0
        """How many calls reached it so far."""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.become(self.mood)

    def become(self, mood: Mood) -> None:
        """Change, and reset every connection of before."""
        self.mood = mood
        self.connections = self.streams = 0
        for writer in self._writers:
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            if self.mood is Mood.RESETS_CONNECTIONS:
                _reset(writer)
            elif self.mood is Mood.SPEAKS_HTTP_1:
                writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                await writer.drain()
            elif self.mood is Mood.SAYS_NOTHING:
                while await reader.read(65536):
                    pass
            else:
                await self._speak_http_2(reader, writer)
        except (OSError, EOFError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _speak_http_2(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(_PREFACE))
        writer.write(_frame(_SETTINGS, 0, 0, b""))
        while True:
            head = await reader.readexactly(9)
            length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            stream = int.from_bytes(head[5:], "big")
            await reader.readexactly(length)
            if kind == _SETTINGS and not flags & _ACK:
                writer.write(_frame(_SETTINGS, _ACK, 0, b""))
            if kind != _HEADERS:
                continue
            self.streams += 1
            if self.mood is Mood.REFUSES_STREAMS:
                writer.write(_frame(_RST_STREAM, 0, stream, _REFUSED_STREAM))
            else:
                writer.write(_frame(_HEADERS, _END_HEADERS, stream, _RESPONSE_HEADERS))
                writer.write(_frame(_DATA, 0, stream, _PART_OF_A_MESSAGE))
                await asyncio.sleep(0.01)  # a reset discards what the other side has not read yet
                _reset(writer)
                return


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a RST: what SO_LINGER with no time does."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
