"""Which headers mean something to the gateway, and which pass to backends and back."""

from __future__ import annotations

import base64
import binascii
import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from gateway.problem import RequestProblem, Violation, refuse
from mesh.call import Metadata
from mesh.config.header import is_reserved

MOST_FORWARDED: Final = 7168
"""Bytes of metadata made of headers. gRPC servers refuse more than 8192, by default, and what the mesh adds is in that."""
_MOST_NAMES: Final = 1024
"""Names remembered: clients choose them, so memory must not grow with them."""


class Meaning(enum.Enum):
    """A header the gateway reads itself."""

    CONTENT_LENGTH = "content-length"
    CONTENT_TYPE = "content-type"
    CONTENT_ENCODING = "content-encoding"
    TRANSFER_ENCODING = "transfer-encoding"
    HOST = "host"
    GRPC_TIMEOUT = "grpc-timeout"
    REQUEST_TIMEOUT = "request-timeout"
    TRACEPARENT = "traceparent"
    TRACESTATE = "tracestate"
    REQUEST_ID = "x-request-id"


_MEANINGS: Final = {meaning.value: meaning for meaning in Meaning}


def matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return whether a lower-case name may pass, by exact names and prefixes written `x-demo-*`."""
    listed = [pattern.lower() for pattern in patterns]
    exact = frozenset(pattern for pattern in listed if not pattern.endswith("*"))
    prefixes = tuple(pattern[:-1] for pattern in listed if pattern.endswith("*"))

    def passes(name: str) -> bool:
        wanted = name in exact or name.startswith(prefixes)
        return wanted and not is_reserved(name)

    return passes


class RequestHeaders(dict[bytes, "Meaning | str | None"]):
    """By header name: what the gateway reads, the metadata key it is forwarded as, or None where it is not."""

    __slots__ = ("_passes", "forwards_request_id")

    def __init__(self, forward: Sequence[str]) -> None:
        super().__init__()
        self._passes = matcher(forward)
        self.forwards_request_id = self._passes(Meaning.REQUEST_ID.value)

    def __missing__(self, name: bytes) -> Meaning | str | None:
        text = name.decode("latin-1").lower()
        meaning: Meaning | str | None = _MEANINGS.get(text)
        if meaning is None and self._passes(text):
            meaning = text
        if len(self) < _MOST_NAMES:
            self[name] = meaning
        return meaning


def metadata_value(key: str, value: bytes) -> str | bytes:
    """Return a header's value as gRPC metadata; raise RequestProblem for what metadata cannot carry."""
    if key.endswith("-bin"):
        # "Implementations MUST accept padded and un-padded values" - gRPC over HTTP2, of binary headers
        try:
            return base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
        except binascii.Error:
            raise _refusal(key, "is not base64, as headers named -bin must be") from None
    text = value.decode("latin-1")
    # "ASCII-Value should not have leading or trailing whitespace"; "1*( %x20-%x7E )" - gRPC over HTTP2
    if not (text.isascii() and text.isprintable()):
        raise _refusal(key, "holds characters other than printable ASCII")
    return text


class ResponseHeaders:
    """Which metadata of a backend's answer the client sees as headers."""

    __slots__ = ("_known", "_passes", "any")

    def __init__(self, names: Sequence[str]) -> None:
        self.any = bool(names)
        """Whether any may pass: otherwise nobody need ask for the metadata."""
        self._passes = matcher(names)
        self._known: dict[str, bytes | None] = {}

    def read(self, metadata: Metadata) -> list[tuple[bytes, bytes]]:
        """Return the headers of the metadata that may pass."""
        headers = []
        for key, value in metadata:
            name = self._known.get(key, b"")
            if name == b"":
                name = key.encode("latin-1") if self._passes(key) else None
                if len(self._known) < _MOST_NAMES:
                    self._known[key] = name
            if name is not None:
                raw = (
                    base64.b64encode(value).rstrip(b"=")
                    if isinstance(value, bytes)
                    else value.encode("latin-1")
                )
                headers.append((name, raw))
        return headers


def _refusal(header: str, description: str) -> RequestProblem:
    return refuse([Violation(f"header {header}", description)])
