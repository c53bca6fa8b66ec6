"""Whether a JSON document names a member of an object twice, and where.

The parser keeps the last of two equal names, which would drop a value in silence. A member that is dropped takes its
colon with it: so the colons in the document and those in its value, printed again, are equal in number exactly when
nothing was dropped. Only a colon spelled as an escape breaks that rule, and sends a document, like one whose colons
differ, to a scanner that knows the names. Nearly all documents cost three calls into C.
"""

from __future__ import annotations

import re
from typing import Final, cast

import orjson

from gateway.codec.fault import Faults, add, full, join, sentence, step

_ESCAPED_COLON: Final = re.compile(rb"\\u003[aA]")
# In text that is known to be JSON these are all that is needed to tell names from values.
_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]')


def find_duplicates(data: bytes, value: object) -> Faults:
    """Return a fault for each name given twice in one object of `data`, the document `value` was parsed from."""
    colons = data.count(b":")
    # One colon for each member of the outermost object leaves none for others, inside it or lost.
    if not colons or (type(value) is dict and len(value) == colons):
        return None
    try:
        kept = orjson.dumps(value).count(b":")
    except orjson.JSONEncodeError:  # nested deeper than can be printed
        return _scan(data)
    if kept == colons and (b"\\" not in data or not _ESCAPED_COLON.search(data)):
        return None
    return _scan(data)


def _scan(data: bytes) -> Faults:
    """Read the names of a document; without recursion, for it may be nested as deeply as the parser allows."""
    faults: Faults = None
    # For each open container: the name or index we are at, and how often each name was met (None for an array).
    places: list[str | int] = []
    counts: list[dict[str, int] | None] = []
    text = b""
    for match in _TOKEN.finditer(data):
        token = match[0]
        if token in b"{[":
            places.append(0)
            counts.append({} if token == b"{" else None)
        elif token in b"}]":
            places.pop()
            counts.pop()
        elif token == b",":
            if isinstance(index := places[-1], int):
                places[-1] = index + 1
        elif token == b":":
            places[-1] = name = orjson.loads(text)
            met = cast("dict[str, int]", counts[-1])
            met[name] = met.get(name, 0) + 1
            if met[name] == 2:  # a third adds nothing
                faults = add(faults, _path(places), sentence("given twice"))
                if full(faults):
                    break
        else:
            text = token
    return faults


def _path(place: list[str | int]) -> str:
    path = ""
    for part in place:
        path = join(path, f"[{part}]" if isinstance(part, int) else step(part))
    return path
