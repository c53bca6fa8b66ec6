"""What goes wrong on purpose with an attempt: by a draw for each kind of fault, or because the request asks for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

LONGEST: Final = 3600.0
"""The longest delay, in seconds, that a policy or a request may ask for."""

_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s)")


class Fault(NamedTuple):
    """A wait before an attempt and an error in its place; 0 is none."""

    delay: float = 0.0
    code: int = 0


NONE: Final = Fault()


def choose(*, delay: float, delay_share: float, code: int, abort_share: float, u: float, v: float) -> Fault:
    """Return the fault of one attempt; shares are of 1, `u` and `v` are drawn from [0, 1)."""
    return Fault(delay if u < delay_share else 0.0, code if v < abort_share else 0)


def parse(text: str, codes: Mapping[str, int]) -> Fault | str:
    """Return the fault that a request asks for, such as `delay=0.5s, abort=UNAVAILABLE`, or what is wrong with it."""
    delay, code, seen = 0.0, 0, set()
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name in seen:
            return f'"{name}" is given twice'
        seen.add(name)
        if name == "delay":
            found = _DURATION.fullmatch(value)
            delay = -1.0 if found is None else float(found[1]) / (1000.0 if found[2] == "ms" else 1.0)
            if not 0.0 <= delay <= LONGEST:
                return f'delay "{value}" is not a duration of at most {LONGEST:g}s, such as 0.5s or 500ms'
        elif name == "abort":
            code = codes.get(value, 0)
            if not code:
                return f'abort "{value}" is not the name of an error, such as UNAVAILABLE'
        else:
            return f'"{name}" is not a fault; known: delay, abort'
    return Fault(delay, code)
