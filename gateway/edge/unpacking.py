"""How a compressed request body becomes the body: within a limit, whatever a few bytes of it claim to expand to.

No step makes much more than it may: zlib and brotli stop at a given size of output, and zstd, which cannot, is fed so little
at once that its largest expansion (128 KB of every four bytes, RFC 8878, 3.1.1.2) stays within 4 MB.
"""

from __future__ import annotations

import zlib
from typing import Any, Final, Protocol

import brotli  # type: ignore[import-untyped]  # its wheel has no types
import zstandard

from gateway.edge.body import too_large
from gateway.problem import RequestProblem

ACCEPTED: Final = b"zstd, br, gzip, deflate"
_ALIASES: Final = {"x-gzip": "gzip"}
_NAMES: Final = frozenset({"zstd", "br", "gzip", "deflate"})
_ZSTD_STEP: Final = 128
# RFC 9659, 3: "decoders MUST support a Window_Size of [...] up to 8 MB"; larger ones cost that much memory for each request.
_ZSTD_WINDOW: Final = 8 * 1024 * 1024
_BROTLI_STEP: Final = 256 * 1024


def read_content_encoding(value: str) -> str:
    """Return the coding of a body, empty for none; raise RequestProblem (415) for unknown ones, and for several."""
    name = value.strip().lower()
    name = _ALIASES.get(name, name)
    if name in {"", "identity"}:
        return ""
    if name not in _NAMES:
        text = f'content encoding "{value[:40]}" is not supported: send the body as it is, or as one of '
        # RFC 9110, 12.5.3: "servers that fail a request due to an unsupported content coding ought to respond with a 415
        # (Unsupported Media Type) status and include an Accept-Encoding header field in that response".
        raise RequestProblem(
            text + ACCEPTED.decode(), http_status=415, headers=((b"accept-encoding", ACCEPTED),)
        )
    return name


class _Decoder(Protocol):
    """One coding's decompression."""

    @property
    def ended(self) -> bool: ...

    def feed(self, data: bytes, limit: int) -> bytes:
        """Return what the data holds; raise RequestProblem (413) beyond `limit` bytes, ValueError for bad data."""


class Unpacker:
    """Decompresses one body, piece by piece."""

    __slots__ = ("_coding", "_decoder", "_limit")

    def __init__(self, coding: str, limit: int) -> None:
        """Take a coding as `read_content_encoding` names it, and how many bytes one `feed` may return."""
        self._coding = coding
        self._limit = limit
        self._decoder: _Decoder = _DECODERS[coding]()

    def feed(self, data: bytes) -> bytes:
        """Return what a piece holds; raise RequestProblem for bad data (400) and more than the limit (413)."""
        if not data:
            return b""
        try:
            if self._decoder.ended:
                raise ValueError("goes on after its end")
            return self._decoder.feed(data, self._limit)
        except (ValueError, zlib.error, brotli.error, zstandard.ZstdError) as error:
            reason = str(error) if type(error) is ValueError else "is damaged"
            raise RequestProblem(f"the body's {self._coding} data {reason}") from None

    def finish(self) -> None:
        """Raise RequestProblem if the data is not complete."""
        if not self._decoder.ended:
            raise RequestProblem(f"the body's {self._coding} data ends too soon")

    def __repr__(self) -> str:
        return f"<Unpacker {self._coding} ended={self._decoder.ended}>"


def unpack(coding: str, body: bytes, limit: int) -> bytes:
    """Return a whole body decompressed. Pure computation that lets other threads run."""
    unpacker = Unpacker(coding, limit)
    unpacked = unpacker.feed(body)
    unpacker.finish()
    return unpacked


class _Zlib:
    """gzip, and what HTTP calls deflate."""

    __slots__ = ("_held", "_zlib")

    def __init__(self, wbits: int | None) -> None:
        self._held = b""
        self._zlib: Any = None if wbits is None else zlib.decompressobj(wbits)

    @property
    def ended(self) -> bool:
        return self._zlib is not None and bool(self._zlib.eof)

    def feed(self, data: bytes, limit: int) -> bytes:
        if self._zlib is None:
            data = self._held + data
            if len(data) < 2:
                self._held = data
                return b""
            self._zlib = zlib.decompressobj(zlib.MAX_WBITS if _is_zlib(data) else -zlib.MAX_WBITS)
        unpacked: bytes = self._zlib.decompress(data, limit + 1)
        if len(unpacked) > limit:
            raise too_large(limit)
        if self._zlib.unused_data:
            raise ValueError("goes on after its end")
        return unpacked


def _is_zlib(data: bytes) -> bool:
    # RFC 9110, 8.4.1.2: "Some non-conformant implementations send the "deflate" compressed data without the zlib wrapper."
    # RFC 1950, 2.2: CM is 8, and CMF*256 + FLG "is a multiple of 31".
    return data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0


class _Brotli:
    __slots__ = ("_brotli",)

    def __init__(self) -> None:
        self._brotli = brotli.Decompressor()

    @property
    def ended(self) -> bool:
        return bool(self._brotli.is_finished())

    def feed(self, data: bytes, limit: int) -> bytes:
        pieces, size = [], 0
        while True:
            piece = self._brotli.process(data, output_buffer_limit=_BROTLI_STEP)
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise too_large(limit)
            # With output still to come it may say that it takes more data; then what it returned fills a step.
            drained = len(piece) < _BROTLI_STEP and self._brotli.can_accept_more_data()
            if drained or self._brotli.is_finished():
                return b"".join(pieces)
            data = b""


class _Zstd:
    __slots__ = ("_zstd",)

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()

    @property
    def ended(self) -> bool:
        return self._zstd.eof

    def feed(self, data: bytes, limit: int) -> bytes:
        pieces, size = [], 0
        for start in range(0, len(data), _ZSTD_STEP):
            if self._zstd.eof:
                raise ValueError("goes on after its end")
            piece = self._zstd.decompress(data[start : start + _ZSTD_STEP])
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise too_large(limit)
        if self._zstd.unused_data:
            raise ValueError("goes on after its end")
        return b"".join(pieces)


_DECODERS: Final[dict[str, Any]] = {
    "zstd": _Zstd,
    "br": _Brotli,
    "gzip": lambda: _Zlib(zlib.MAX_WBITS + 16),
    "deflate": lambda: _Zlib(None),
}
