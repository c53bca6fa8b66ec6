"""Which headers never pass through the gateway, whatever an operator lists, and why."""

from __future__ import annotations

import re
from typing import Final

_CONNECTION: Final = "is about the connection and never handed on"
_TRANSPORT: Final = "is the transport's own and never handed on"
_TRACE: Final = "is the mesh's own to write and never handed on"

# RFC 9110, 7.6.1: what is about the connection ends with the connection. Framing ends with the message.
_RESERVED: Final = {
    **dict.fromkeys(
        (
            "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
            "trailer", "transfer-encoding", "upgrade", "host", "content-length", "content-type", "content-encoding",
            "expect", "date", "server",
        ),
        _CONNECTION,
    ),
    **dict.fromkeys(("traceparent", "tracestate"), _TRACE),
    "user-agent": _TRANSPORT,
    "request-timeout": "becomes the deadline of the calls and is never handed on",
}  # fmt: skip
_PREFIXES: Final = ("grpc-", "connect-", "mesh-", ":")
# RFC 9110, 5.6.2: field names are tokens.
_PATTERN: Final = re.compile(r"[a-z0-9!#$%&'+.^_`|~-]+\*?|\*")


def is_reserved(name: str) -> bool:
    """Whether a header, by its name in lower case, never passes."""
    return name in _RESERVED or name.startswith(_PREFIXES)


def is_name(text: str) -> bool:
    """Whether a text in lower case may be the name of a header."""
    return bool(_PATTERN.fullmatch(text)) and not text.endswith("*")


def refusal(pattern: str) -> str:
    """Return why a name, or a prefix written `x-demo-*`, cannot be listed; empty when it can."""
    lower = pattern.lower()
    if not _PATTERN.fullmatch(lower):
        return f'"{pattern}" is not a header name; a last * stands for any rest'
    reason = _TRANSPORT if lower.startswith(_PREFIXES) else _RESERVED.get(lower)
    return f'"{pattern}" {reason}' if reason else ""
