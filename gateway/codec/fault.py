"""What a fault in a JSON document is: where it lies, and the words for it.

Paths are relative while a document is being read and grow outwards, so that a correct document pays nothing for
them. Words are found last, and reading stops at FAULTS_KEPT: a hostile body may hold a hundred thousand.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import orjson

from gateway.problem import VIOLATIONS_SHOWN

SHOWN_LENGTH: Final = 60
FAULTS_KEPT: Final = VIOLATIONS_SHOWN + 1
"""One more than an answer shows, which tells it that there are more."""
TOO_DEEP: Final = "nested too deeply"
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COMPARED_LENGTH: Final = 64  # difflib is quadratic; no sensible field name is longer
_COMPARED_NAMES: Final = 200


class Fault(NamedTuple):
    """One thing wrong with a document."""

    path: str
    describe: Callable[[], str]


Faults = list[Fault] | None
"""None where nothing is wrong: the common case allocates nothing."""


class Refusal(ValueError):  # noqa: N818 - a value's refusal, not an error of ours
    """A value that a leaf rule refuses in words of its own; any other ValueError gets the standard sentence."""


class UnknownName(Refusal):
    """An enum value name nobody declared; `Options.ignore_unknown` lets it pass."""

    def __init__(self, enum: str, value: str, names: Iterable[str]) -> None:
        super().__init__(enum, value)
        self._enum, self._value, self._names = enum, value, names

    def __str__(self) -> str:
        hint = suggestion(self._value, self._names)
        return f"unknown value {shown(self._value)} of enum {self._enum}{hint}"


def shown(value: object) -> str:
    """Render a JSON value for an error message: scalars as JSON, cut when long; containers by their kind."""
    match value:
        case dict():
            return "an object"
        case list():
            return "an array"
        case str():
            kept = value if len(value) <= SHOWN_LENGTH else value[: SHOWN_LENGTH - 3] + "..."
            return orjson.dumps(kept.encode("utf-8", "replace").decode()).decode()
        case None | bool() | float():
            return orjson.dumps(value).decode() if value == value else "NaN"  # noqa: PLR0124 - NaN's own test
        case int() if abs(value) < 10**SHOWN_LENGTH:
            return str(value)
        case _:
            return f"a value of type {type(value).__name__}"


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean "unitPrice"?` when one of `names` is near, else nothing."""
    known = list(names)[:_COMPARED_NAMES]
    folded = {candidate.replace("_", "").lower(): candidate for candidate in reversed(known)}
    near = folded.get(name.replace("_", "").lower())
    if near is None and len(name) <= _COMPARED_LENGTH:
        near = next(iter(difflib.get_close_matches(name, known, 1, 0.7)), None)
    return f"; did you mean {shown(near)}?" if near is not None else ""


def step(name: str) -> str:
    """Return the path step for a member whose name the client chose: `colour`, or `["a.b"]`."""
    return name if len(name) <= SHOWN_LENGTH and _PLAIN_NAME.fullmatch(name) else f"[{shown(name)}]"


def join(prefix: str, path: str) -> str:
    """Join two relative paths: `items[2]` and `unitPrice`, `labels` and `["a.b"]`."""
    return f"{prefix}.{path}" if prefix and path and path[0] != "[" else prefix + path


def add(faults: Faults, path: str, describe: Callable[[], str]) -> list[Fault]:
    """Return `faults` with one more, as long as there is room."""
    if faults is None:
        return [Fault(path, describe)]
    if len(faults) < FAULTS_KEPT:
        faults.append(Fault(path, describe))
    return faults


def under(faults: Faults, prefix: str, inner: list[Fault]) -> list[Fault]:
    """Return `faults` with those of an inner document, their paths prefixed, as long as there is room."""
    moved = [Fault(join(prefix, path), describe) for path, describe in inner]
    if faults is None:
        return moved
    faults += moved[: FAULTS_KEPT - len(faults)]
    return faults


def full(faults: list[Fault]) -> bool:
    """Say whether there is no point in looking for more."""
    return len(faults) >= FAULTS_KEPT


def mismatch(
    faults: Faults, path: str, value: object, expected: str, error: ValueError | None = None
) -> list[Fault]:
    """Return `faults` with a value that does not fit; a Refusal brings its own words."""
    return add(faults, path, functools.partial(_describe_mismatch, value, expected, error))


def sentence(text: str) -> Callable[[], str]:
    """Return fixed words in the form `Fault.describe` wants."""
    return functools.partial(str, text)


def too_deep() -> list[Fault]:
    """Return the fault of a document nested deeper than the limit."""
    return [Fault("", sentence(TOO_DEEP))]


def _describe_mismatch(value: object, expected: str, error: ValueError | None) -> str:
    if isinstance(error, Refusal):
        return str(error)
    if isinstance(error, UnicodeError):
        return f"expected {expected}, got text that is not valid Unicode (an unpaired surrogate)"
    return f"expected {expected}, got {shown(value)}"
