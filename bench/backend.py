"""A gRPC server that answers every call of a port with the same bytes, so cheaply that the caller is what is measured.

A grpc.aio server costs 120-180 us a call: on two cores it, and not the contender, would be saturated. This one speaks just
enough HTTP/2 for gRPC clients on loopback, at a tenth of that: no HPACK state (requests are told apart by port, answers use
literals), no flow control of its own (fewer bytes are ever in flight than the 64 KiB every client allows).
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any, Final

from bench import child, sample

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# RFC 9113, 6: frame types; 4.1: a header of length (24), type (8), flags (8), stream (32).
_DATA, _HEADERS, _SETTINGS, _PING, _WINDOW_UPDATE = 0x0, 0x1, 0x4, 0x6, 0x8
_END_STREAM, _END_HEADERS, _ACK = 0x1, 0x4, 0x1
# RFC 9113, 6.9.1: "A sender MUST NOT allow a flow-control window to exceed 2^31-1 octets"; it starts at 65,535.
_WIDEST: Final = 2**31 - 1 - 65_535
_MOST_STREAMS: Final = 3
# The only method told apart: clients of the mesh watch health (a stream that stays open).
_HEALTH: Final = b"/grpc.health.v1.Health/"


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def _literal(name: bytes, value: bytes) -> bytes:
    """RFC 7541, 6.2.2: a literal header field without indexing, with a new name."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


# RFC 7541, appendix A: index 8 of the static table is `:status: 200`.
_OPENING: Final = b"\x88" + _literal(b"content-type", b"application/grpc")


class _Answer:
    """Frames of one answer, all but their stream."""

    def __init__(self, *frames: bytes) -> None:
        # What stands between the stream numbers, which are the last four bytes of each frame's header.
        pieces, end = [], b""
        for frame in frames:
            pieces.append(end + frame[:5])
            end = frame[9:]
        self._pieces, self._end = pieces, end

    def on(self, stream: bytes) -> bytes:
        return stream.join([*self._pieces, self._end])


def _ok(message: bytes) -> _Answer:
    trailers = _frame(_HEADERS, _END_HEADERS | _END_STREAM, 0, _literal(b"grpc-status", b"0"))
    return _Answer(*_opening_and(message), trailers)


def _opening_and(message: bytes) -> tuple[bytes, bytes]:
    return (
        _frame(_HEADERS, _END_HEADERS, 0, _OPENING),
        _frame(_DATA, 0, 0, b"\x00" + struct.pack("!I", len(message)) + message),
    )


# grpc.health.v1.HealthCheckResponse with `status` (1) SERVING (1).
_SERVING: Final = _Answer(*_opening_and(b"\x08\x01"))


class _Connection(asyncio.Protocol):
    def __init__(self, answer: _Answer) -> None:
        self._answer = answer
        self._unread = b""
        self._greeted = False
        self._watching: set[bytes] = set()
        self._received = 0
        # uvloop's transports are no asyncio.Transport, but behave as one.
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        settings = struct.pack("!HI", _MOST_STREAMS, 1_000)
        transport.write(_frame(_SETTINGS, 0, 0, settings) + self._widen(_WIDEST))

    @staticmethod
    def _widen(size: int) -> bytes:
        return _frame(_WINDOW_UPDATE, 0, 0, struct.pack("!I", size))

    def data_received(self, data: bytes) -> None:
        data = self._unread + data
        at = 0
        if not self._greeted:
            if len(data) < len(_PREFACE):
                self._unread = data
                return
            self._greeted, at = True, len(_PREFACE)
        out: list[bytes] = []
        end = len(data)
        while end - at >= 9:
            length = int.from_bytes(data[at : at + 3], "big")
            after = at + 9 + length
            if after > end:
                break
            self._read(data[at + 3], data[at + 4], data[at + 5 : at + 9], data[at + 9 : after], out)
            at = after
        self._unread = data[at:]
        if out:
            self._transport.write(b"".join(out))

    def _read(self, kind: int, flags: int, stream: bytes, payload: bytes, out: list[bytes]) -> None:
        if kind == _DATA:
            self._received += len(payload)
            if self._received > _WIDEST // 2:
                out.append(self._widen(self._received))
                self._received = 0
            if flags & _END_STREAM:
                out.append(self._end(stream))
        elif kind == _HEADERS:
            if _HEALTH in payload:
                self._watching.add(stream)
            if flags & _END_STREAM:
                out.append(self._end(stream))
        elif kind == _SETTINGS and not flags & _ACK:
            out.append(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            out.append(_frame(_PING, _ACK, 0, payload))

    def _end(self, stream: bytes) -> bytes:
        if stream in self._watching:
            self._watching.discard(stream)
            return _SERVING.on(stream)
        return self._answer.on(stream)


async def main() -> None:
    loop = asyncio.get_running_loop()
    addresses: dict[str, str] = {}
    for service, response in sample.RESPONSES.items():
        answer = _ok(response.SerializeToString())
        server = await loop.create_server(lambda answer=answer: _Connection(answer), "127.0.0.1", 0)
        addresses[service] = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await child.obey(addresses, {"settle": child.settle, "mark": child.mark})


if __name__ == "__main__":
    child.run(main())
