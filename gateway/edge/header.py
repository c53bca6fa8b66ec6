"""Which headers mean something to the gateway, and which pass to backends and back."""

from __future__ import annotations

import base64
import binascii
import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from gateway.edge.compression import AcceptedEncodings
from gateway.edge.forwarded import NAMES as CALLER_NAMES
from gateway.edge.host import KnownHosts
from gateway.problem import RequestProblem, Violation, refuse
from mesh.call import Metadata
from mesh.config.header import is_reserved

MOST_FORWARDED: Final = 7168
"""Bytes of metadata made of headers. gRPC servers refuse more than 8192, by default, and what the mesh adds is in that."""
MOST_HEADERS: Final = 100
"""What servers let through in HTTP/1.1; in HTTP/2 they count bytes only."""
_MOST_NAMES: Final = 1024
"""Names remembered: clients choose them, so memory must not grow with them."""


class Meaning(enum.Enum):
    """A header the gateway reads itself."""

    CONTENT_LENGTH = "content-length"
    CONTENT_TYPE = "content-type"
    CONTENT_ENCODING = "content-encoding"
    TRANSFER_ENCODING = "transfer-encoding"
    HOST = "host"
    CONNECTION = "connection"
    GRPC_TIMEOUT = "grpc-timeout"
    REQUEST_TIMEOUT = "request-timeout"
    TRACEPARENT = "traceparent"
    TRACESTATE = "tracestate"
    REQUEST_ID = "x-request-id"
    ACCEPT_ENCODING = "accept-encoding"
    NOTED = ""
    """One of `_NOTED`, kept for whoever completes the answer."""


_MEANINGS: Final = {meaning.value: meaning for meaning in Meaning if meaning.value}
_OF_CONNECTIONS: Final = frozenset({"connection", "transfer-encoding"})
PLAIN_CONNECTIONS: Final = frozenset(
    {b"keep-alive", b"close", b"Keep-Alive", b"Close", b"Upgrade", b"upgrade"}
)
"""What is usual in a Connection header: it makes no other header its own."""
_NOTED: Final = frozenset({"if-match", "if-none-match", "if-range", "range", "cache-control"})


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

    __slots__ = ("_passes", "accepted", "compresses", "forwards_request_id", "hosts", "tells")

    def __init__(self, forward: Sequence[str], *, compresses: bool = True) -> None:
        super().__init__()
        self.accepted = AcceptedEncodings()
        self.compresses = compresses
        """Whether answers are compressed."""
        self._passes = matcher(forward)
        self.forwards_request_id = self._passes(Meaning.REQUEST_ID.value)
        self.hosts = KnownHosts()
        self.tells = tuple(sorted(name for name in CALLER_NAMES if self._passes(name)))
        """What backends are told of the caller: what the gateway believes, never what it was sent."""

    def __missing__(self, name: bytes) -> Meaning | str | None:
        text = name.decode("latin-1").lower()
        meaning: Meaning | str | None = _MEANINGS.get(text)
        if meaning is None and text not in CALLER_NAMES and self._passes(text):
            # Preconditions and ranges that an operator hands on are the backend's to judge.
            meaning = text
        elif text in _NOTED:
            meaning = Meaning.NOTED
        elif meaning is Meaning.ACCEPT_ENCODING and not self.compresses:
            meaning = None
        if len(self) < _MOST_NAMES:
            self[name] = meaning
        return meaning


def read_nominated(value: bytes) -> frozenset[str]:
    """Return the headers that a Connection header makes its own; raise RequestProblem for what it cannot have."""
    # RFC 9110, 7.6.1: "for each connection-option in this field, remove any header or trailer field(s) from the message
    # with the same name as the connection-option".
    names = frozenset(item.strip().lower() for item in value.decode("latin-1").split(","))
    # "A sender MUST NOT send a connection option corresponding to a field that is intended for all recipients of the
    # content": it would take away from behind a proxy what the proxy has said, or what frames the message.
    for name in sorted(names):
        if name in CALLER_NAMES or (name in _MEANINGS and name not in _OF_CONNECTIONS):
            raise _refusal("connection", f'"{name[:40]}" is not about the connection')
    return names


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
