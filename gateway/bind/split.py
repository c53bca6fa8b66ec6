"""Decides where one JSON value ends and the next begins in a body that comes in pieces, whatever its pieces are.

A body is read as what its first character says: a `[` begins an array whose items are the values; otherwise values follow
each other, with white space between them or, where they delimit themselves, none. So newline-delimited JSON, concatenated
JSON and one array are all understood.

    before ──[──► item or end ──item──► comma or end ──]──► after        in an array
       │                                  └──,──► item ──┘
       └──value──► before                                                otherwise

Only brackets and strings are looked at: whether a value is JSON is for who parses it. Of a value that is not complete no
more than `limit` bytes are kept.
"""

from __future__ import annotations

import enum
import re
from typing import Final

from gateway.edge.body import too_large
from gateway.problem import RequestProblem

_SPACE: Final = re.compile(rb"[ \t\r\n]*")
_STRUCTURE: Final = re.compile(rb'["{}\[\]]')
_IN_STRING: Final = re.compile(rb'["\\]')
_SCALAR_END: Final = re.compile(rb"[ \t\r\n]")
_ITEM_END: Final = re.compile(rb"[ \t\r\n,\]]")
_OPENING: Final = frozenset(b"{[")
_QUOTE: Final = ord('"')


class _Place(enum.Enum):
    """Where in the body the next character stands, between values."""

    BEFORE = "before a value"
    ITEM_OR_END = "before the first item"
    ITEM = "before an item"
    COMMA_OR_END = "after an item"
    AFTER = "after the array"


class JsonSplitter:
    """One body on its way to values. Holds one incomplete value at most."""

    __slots__ = (
        "_arrays",
        "_buffer",
        "_count",
        "_depth",
        "_limit",
        "_place",
        "_position",
        "_scalar",
        "_start",
        "_string",
    )

    def __init__(self, limit: int, *, arrays: bool = True) -> None:
        """`limit`: bytes of one value; `arrays`: an array is a stream of its items, not a value."""
        self._limit = limit
        self._arrays = arrays
        self._buffer = bytearray()
        self._position = 0
        """How far the buffer has been looked at; past its end where an escape is cut in two."""
        self._place = _Place.BEFORE
        self._start = -1
        """Where the value begins that is not complete; -1 between values."""
        self._depth = 0
        self._string = False
        self._scalar = False
        self._count = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the values that a piece completes."""
        buffer = self._buffer
        buffer += piece
        values: list[bytes] = []
        while True:
            if self._start < 0 and not self._begin():
                break
            if not self._end():
                break
            values.append(self._take())
        kept = self._start if self._start >= 0 else min(self._position, len(buffer))
        del buffer[:kept]
        self._position -= kept
        if self._start >= 0:
            self._start = 0
            if len(buffer) > self._limit:
                raise too_large(self._limit)
        return values

    def finish(self) -> list[bytes]:
        """Return the value that the end of the body completes, if one is left; raise RequestProblem for half of one."""
        values: list[bytes] = []
        if self._start >= 0:
            if not self._scalar or self._place is _Place.ITEM:
                raise RequestProblem(f"the body ends within message {self._count + 1}")
            self._position = len(self._buffer)
            values.append(self._take())
        if self._place not in {_Place.BEFORE, _Place.AFTER}:
            raise RequestProblem('the body ends within its array: there is no "]"')
        return values

    def _begin(self) -> bool:
        """Go to the start of a value; False if there is none yet."""
        buffer = self._buffer
        while True:
            found = _SPACE.match(buffer, self._position)
            self._position = position = self._position if found is None else found.end()
            if position >= len(buffer):
                return False
            character, place = buffer[position : position + 1], self._place
            if place is _Place.BEFORE and character == b"[" and self._arrays and not self._count:
                self._place = _Place.ITEM_OR_END
            elif place is _Place.COMMA_OR_END and character == b",":
                self._place = _Place.ITEM
            elif place in {_Place.COMMA_OR_END, _Place.ITEM_OR_END} and character == b"]":
                self._place = _Place.AFTER
            elif place in {_Place.COMMA_OR_END, _Place.AFTER} or (
                place is not _Place.BEFORE and character in b",]"
            ):
                shown = character.decode("latin-1")
                raise RequestProblem(f'the body has "{shown}" {place.value}, after {self._count} messages')
            else:
                if place is _Place.ITEM_OR_END:
                    self._place = _Place.ITEM
                self._open(buffer[position])
                return True
            self._position += 1

    def _open(self, character: int) -> None:
        self._start = self._position
        self._depth = 1 if character in _OPENING else 0
        self._string = character == _QUOTE
        self._scalar = not self._depth and not self._string
        self._position += 1

    def _end(self) -> bool:
        """Go to the end of the value that has begun; False if it has not come."""
        buffer = self._buffer
        if self._scalar:
            found = (_SCALAR_END if self._place is _Place.BEFORE else _ITEM_END).search(
                buffer, self._position
            )
            self._position = len(buffer) if found is None else found.start()
            return found is not None
        while self._depth or self._string:
            found = (_IN_STRING if self._string else _STRUCTURE).search(buffer, self._position)
            if found is None:
                self._position = max(self._position, len(buffer))
                return False
            at = found.start()
            self._position = at + 1
            character = buffer[at]
            if self._string:
                if character == _QUOTE:
                    self._string = False
                else:
                    self._position = at + 2
            elif character == _QUOTE:
                self._string = True
            else:
                self._depth += 1 if character in _OPENING else -1
        return True

    def _take(self) -> bytes:
        value = bytes(self._buffer[self._start : self._position])
        self._start = -1
        self._count += 1
        if len(value) > self._limit:
            raise too_large(self._limit)
        if self._place is _Place.ITEM:
            self._place = _Place.COMMA_OR_END
        return value

    def __repr__(self) -> str:
        return f"<JsonSplitter {self._place.value} count={self._count}>"
