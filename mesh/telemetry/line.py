"""How times and texts look in a line of an access log: JSON written by hand, in half the time a library takes."""

from __future__ import annotations

import json.encoder
import time
from collections.abc import Callable
from typing import Final

quote: Final[Callable[[str], str]] = json.encoder.encode_basestring_ascii
"""Renders text as a JSON string: what json.dumps ends up calling, without the way there."""


class Timestamps:
    """Renders moments as RFC 3339 has them, in UTC, to the millisecond. The lines of one second share most of it."""

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def render(self, wall: float) -> str:
        """Return `2026-01-31T12:30:00.250Z`; `wall` is seconds since 1970."""
        second = int(wall)
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._text}.{int((wall - second) * 1000):03d}Z"

    def __repr__(self) -> str:
        return f"<Timestamps {self._text}>"
