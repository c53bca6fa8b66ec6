"""Whether and how answers are compressed: the client's Accept-Encoding, the content's type, the codings and their levels.

Levels, by JSON of 4 KB, 64 KB and 1 MB (us, and what is left): zstd 3 11, 132, 3250 (24-35 %); brotli 4 49, 573, 9060
(25-35 %); gzip 4 24, 714, 11900 (29-37 %). Brotli 5 costs 60 % more for one percent, gzip 6 70 % more for one percent. So of
codings the client likes equally, zstd comes before brotli, and brotli before gzip.

Streams are compressed so that each message can be read at once, for 1.5 to 3 us each; a compressor holds 0.13 (zstd 1,
gzip) to 0.57 MB (brotli) of memory for as long as its stream lives. Server-sent events live longest and say least: they are
never compressed.
"""

from __future__ import annotations

import enum
import re
import zlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import brotli  # type: ignore[import-untyped]  # its wheel has no types
import zstandard

_MOST_HEADERS: Final = 256
"""Values of Accept-Encoding remembered: clients choose them."""
_ZSTD_LEVEL: Final = 3
_ZSTD_STREAM_LEVEL: Final = 1
_BROTLI_QUALITY: Final = 4
_GZIP_LEVEL: Final = 4
# Of streams: each holds its window for as long as it lives.
_STREAM_WINDOW: Final = 17
_GZIP_WRAPPER: Final = 16
# RFC 9110, 12.4.2: qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )
_WEIGHT: Final = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")
_COMPRESSIBLE: Final = re.compile(
    rb"(?:text/(?!event-stream\b).+"
    rb"|application/(?:json|proto|x-protobuf|x-ndjson|ndjson|javascript|xml|yaml|x-yaml|wasm|graphql|[\w.+-]+\+(?:json|xml|yaml))"
    rb"|image/(?:svg\+xml|bmp)|font/(?:ttf|otf))\s*(?:;.*)?",
    re.IGNORECASE,
)


class Coding(enum.Enum):
    """A content coding the gateway writes; the first one is preferred."""

    ZSTD = "zstd"
    BROTLI = "br"
    GZIP = "gzip"


# RFC 9110, 8.4.1.3: "A recipient SHOULD consider "x-gzip" to be equivalent to "gzip"."
_NAMES: Final = {**{coding.value: coding for coding in Coding}, "x-gzip": Coding.GZIP}


class Accepted(NamedTuple):
    """What a client can read."""

    coding: Coding | None
    """The best coding for it; None: it is best sent as it is."""
    only_coded: bool = False
    """It refuses what is not coded (`identity;q=0`)."""


IDENTITY: Final = Accepted(None)


class AcceptedEncodings(dict[bytes, Accepted]):
    """By the value of Accept-Encoding, of which browsers and libraries know few: what it means."""

    __slots__ = ()

    def __missing__(self, value: bytes) -> Accepted:
        accepted = read_accept_encoding(value.decode("latin-1"))
        if len(self) < _MOST_HEADERS:
            self[value] = accepted
        return accepted


def read_accept_encoding(value: str) -> Accepted:
    """Return what an Accept-Encoding header says; what is not well-formed in it is not accepted."""
    weights: dict[str, float] = {}
    for element in value.lower().split(","):
        name, *parameters = (part.strip() for part in element.split(";"))
        if name:
            weights[name] = _weight(parameters)
    others = weights.get("*", 0.0)
    best, most = None, 0.0
    for coding in Coding:
        spelled = [weights[name] for name, known in _NAMES.items() if known is coding and name in weights]
        weight = max(spelled, default=others)
        if weight > most:
            best, most = coding, weight
    # 12.5.3: "If the representation has no content coding, then it is acceptable by default unless specifically excluded
    # by the Accept-Encoding header field stating either "identity;q=0" or "*;q=0" without a more specific entry for
    # "identity"."
    plain = weights.get("identity", others if "*" in weights else None)
    if best is None or (plain is not None and "identity" in weights and plain > most):
        return Accepted(None, only_coded=False)
    return Accepted(best, only_coded=plain == 0.0)


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, text = parameter.partition("=")
        if name.strip() == "q":
            text = text.strip()
            return float(text) if _WEIGHT.fullmatch(text) else 0.0
    return 1.0


def is_compressible(content_type: bytes) -> bool:
    """Whether content of a type gets smaller: text of all kinds but server-sent events; pictures are packed already."""
    return _COMPRESSIBLE.fullmatch(content_type) is not None


def compress(coding: Coding, body: bytes) -> bytes:
    """Return a whole body in a coding. Pure computation that lets other threads run."""
    packed: bytes
    if coding is Coding.ZSTD:
        packed = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_content_size=True).compress(body)
    elif coding is Coding.BROTLI:
        packed = brotli.compress(body, quality=_BROTLI_QUALITY)
    else:
        gzip = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS + _GZIP_WRAPPER)
        packed = gzip.compress(body) + gzip.flush()
    return packed


class Packer:
    """Compresses a stream, so that what was put in can be read at the other end at once."""

    __slots__ = ("_finish", "_flush", "_pack", "coding")

    def __init__(self, coding: Coding) -> None:
        self.coding = coding
        if coding is Coding.ZSTD:
            parameters = zstandard.ZstdCompressionParameters.from_level(
                _ZSTD_STREAM_LEVEL, window_log=_STREAM_WINDOW
            )
            zstd = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
            self._pack: Any = zstd.compress
            self._flush: Any = lambda: zstd.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
            self._finish: Any = zstd.flush
        elif coding is Coding.BROTLI:
            compressor = brotli.Compressor(quality=_BROTLI_QUALITY, lgwin=_STREAM_WINDOW)
            self._pack, self._flush, self._finish = compressor.process, compressor.flush, compressor.finish
        else:
            gzip = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS + _GZIP_WRAPPER)
            self._pack = gzip.compress
            self._flush = lambda: gzip.flush(zlib.Z_SYNC_FLUSH)
            self._finish = gzip.flush

    def pack(self, piece: bytes) -> bytes:
        """Return all that the client needs to read this piece."""
        packed: bytes = self._pack(piece) + self._flush()
        return packed

    def finish(self) -> bytes:
        """Return what ends the stream: without it, it is not complete."""
        packed: bytes = self._finish()
        return packed

    def __repr__(self) -> str:
        return f"<Packer {self.coding.value}>"


CODING_HEADERS: Final[Mapping[Coding, tuple[bytes, bytes]]] = {
    coding: (b"content-encoding", coding.value.encode()) for coding in Coding
}
VARY: Final = (b"vary", b"accept-encoding")
