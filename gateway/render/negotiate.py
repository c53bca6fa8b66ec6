"""Decides which framing a stream has, by what the request accepts.

Of the media types that a framing is for, that with the highest quality is taken, of several the one that is named first.
Wildcards stand for the first framing, newline-delimited JSON, that is not excluded by `;q=0`; `text/*` for events. A request that
accepts none of them gets lines all the same: RFC 9110, 12.5.1, lets a server "disregard the header field". So a JSON array
is sent only where `application/json` is named, and nothing better before it.
"""

from __future__ import annotations

from typing import Final

from gateway.render.framing import EVENTS, NDJSON
from gateway.render.reply import JSON

_NAMES: Final = {
    b"application/x-ndjson": NDJSON,
    b"application/ndjson": NDJSON,
    b"application/jsonl": NDJSON,
    b"text/event-stream": EVENTS,
    b"application/json": JSON,
}
_ALL: Final = (NDJSON, JSON, EVENTS)
_WILD: Final = {b"*/*": _ALL, b"application/*": (NDJSON, JSON), b"text/*": (EVENTS,)}
_MOST_KNOWN: Final = 256
"""Header values remembered: clients choose them, so memory must not grow with them."""


class Acceptance(dict[bytes, bytes]):
    """By the value of Accept: the media type of the framing."""

    __slots__ = ()

    def __missing__(self, accept: bytes) -> bytes:
        chosen = choose(accept)
        if len(self) < _MOST_KNOWN:
            self[accept] = chosen
        return chosen


def choose(accept: bytes) -> bytes:
    """Return the media type of the framing that a value of Accept asks for."""
    ranges = [_read(part) for part in accept.lower().split(b",")]
    excluded = {_NAMES[name] for name, quality in ranges if quality == 0 and name in _NAMES}
    best, best_quality = NDJSON, 0.0
    for name, quality in ranges:
        if quality <= best_quality:
            continue
        offered = (_NAMES[name],) if name in _NAMES else _WILD.get(name, ())
        found = next((media for media in offered if media not in excluded), None)
        if found is not None:
            best, best_quality = found, quality
    return best


def _read(part: bytes) -> tuple[bytes, float]:
    """Return a media range without parameters, and its quality."""
    name, *parameters = part.split(b";")
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.strip().partition(b"=")
        if key == b"q":
            try:
                quality = float(value)
            except ValueError:
                quality = 0.0
    # Not a number is neither more nor less than anything.
    return name.strip(), quality if 0.0 <= quality <= 1.0 else 0.0
