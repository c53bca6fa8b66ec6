"""Which part of an answer a Range header asks for (RFC 9110, 14): one range of bytes, or the whole."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

# More digits than a file has bytes are no range.
_RANGE: Final = re.compile(rb"\s*bytes\s*=\s*(\d{0,18})-(\d{0,18})\s*", re.IGNORECASE)


class Part(NamedTuple):
    """Bytes `first` to `last` of an answer, both included."""

    first: int
    last: int


UNSATISFIABLE: Final = Part(0, -1)
"""The range lies behind the answer's end."""


def read_range(value: bytes, size: int) -> Part | None:
    """Return the part of `size` bytes that is asked for, UNSATISFIABLE, or None: then the whole is sent.

    So it is for other units, for what is not well-formed, and for several ranges: "A server MAY ignore the Range header
    field" (14.2), and a list of many small or overlapping ranges is how it is abused (14.2, 17.15).
    """
    found = _RANGE.fullmatch(value)
    if found is None or found[0].strip().endswith(b"=-"):
        return None
    first, last = found[1], found[2]
    if not first:
        # 14.1.2: "If the selected representation is shorter than the specified suffix-length, the entire
        # representation is used."
        length = int(last)
        return Part(max(0, size - length), size - 1) if length and size else UNSATISFIABLE
    start = int(first)
    # 14.1.1: "An int-range is invalid if the last-pos value is present and less than first-pos."
    if last and int(last) < start:
        return None
    if start >= size:
        return UNSATISFIABLE
    # 14.1.2: "or if the value is greater than or equal to the current length of the representation data, the byte range is
    # interpreted as the remainder".
    return Part(start, min(int(last), size - 1) if last else size - 1)
