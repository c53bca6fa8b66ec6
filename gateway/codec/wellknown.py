"""How Timestamp, Duration and FieldMask, messages whose JSON form is one string, are read and printed."""

from __future__ import annotations

import functools
import re
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.codec.fault import TOO_DEEP, Faults, mismatch, too_deep
from gateway.codec.unencodable import Unencodable

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - arithmetic in UTC throughout, offsets are applied by hand
_TIMESTAMP_MIN: Final = -62_135_596_800  # 0001-01-01T00:00:00Z
_TIMESTAMP_MAX: Final = 253_402_300_799  # 9999-12-31T23:59:59Z
_DURATION_MAX: Final = 315_576_000_000
_BILLION: Final = 1_000_000_000

# "Uses RFC 3339, where generated output will always be Z-normalized and uses 0, 3, 6 or 9 fractional digits. Offsets
# other than "Z" are also accepted." - ProtoJSON
_TIMESTAMP: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:Z|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)
_DURATION: Final = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,9}))?s")
_CAMEL_HUMP: Final = re.compile(r"[A-Z]")
_SNAKE_JOINT: Final = re.compile(r"_([a-z])")

_TIMESTAMP_WORDS: Final = 'an RFC 3339 time such as "2026-01-31T12:30:00Z"'
_DURATION_WORDS: Final = 'a duration in seconds such as "1.5s"'
_FIELD_MASK_WORDS: Final = 'field paths such as "userName,address.city"'


def decode_timestamp(value: object, message: Any, depth: int) -> Faults:
    """Read an RFC 3339 time into a Timestamp."""
    if depth < 1:
        return too_deep()
    match = _TIMESTAMP.fullmatch(value) if type(value) is str else None
    if match is None:
        return mismatch(None, "", value, _TIMESTAMP_WORDS)
    clock, fraction, sign, hours, minutes = match.groups()
    try:
        since = datetime.fromisoformat(clock) - _EPOCH
    except ValueError:  # the thirtieth of February
        return mismatch(None, "", value, _TIMESTAMP_WORDS)
    seconds = since.days * 86_400 + since.seconds
    if sign is not None:
        offset = int(hours) * 3600 + int(minutes) * 60
        seconds += -offset if sign == "+" else offset
        if not _TIMESTAMP_MIN <= seconds <= _TIMESTAMP_MAX:
            return mismatch(None, "", value, "a time from year 1 to year 9999 in UTC")
    message.seconds = seconds
    if fraction is not None:
        message.nanos = int(fraction.ljust(9, "0"))
    return None


def encode_timestamp(message: Any, depth: int) -> str:
    """Print a Timestamp."""
    if depth < 1:
        raise Unencodable(message, TOO_DEEP)
    seconds, nanos = message.seconds, message.nanos
    if not (_TIMESTAMP_MIN <= seconds <= _TIMESTAMP_MAX and 0 <= nanos < _BILLION):
        raise Unencodable(message, f"timestamp out of range: {seconds} seconds, {nanos} nanos")
    days, seconds = divmod(seconds, 86_400)
    minutes, seconds = divmod(seconds, 60)
    # Percent formatting takes three quarters of an f-string's time here, and isoformat() twice as long.
    return "%sT%02d:%02d:%02d%sZ" % (_date(days), *divmod(minutes, 60), seconds, _fraction(nanos))  # noqa: UP031 - as said above


def decode_duration(value: object, message: Any, depth: int) -> Faults:
    """Read a number of seconds with the suffix `s` into a Duration."""
    if depth < 1:
        return too_deep()
    match = _DURATION.fullmatch(value) if type(value) is str else None
    if match is None:
        return mismatch(None, "", value, _DURATION_WORDS)
    sign, whole, fraction = match.groups()
    seconds = int(whole)
    if seconds > _DURATION_MAX:
        return mismatch(None, "", value, f"a duration of at most {_DURATION_MAX} seconds")
    nanos = int(fraction.ljust(9, "0")) if fraction is not None else 0
    message.seconds = -seconds if sign else seconds
    message.nanos = -nanos if sign else nanos
    return None


def encode_duration(message: Any, depth: int) -> str:
    """Print a Duration."""
    if depth < 1:
        raise Unencodable(message, TOO_DEEP)
    seconds, nanos = message.seconds, message.nanos
    in_range = -_DURATION_MAX <= seconds <= _DURATION_MAX and -_BILLION < nanos < _BILLION
    if not in_range or seconds * nanos < 0:
        raise Unencodable(message, f"duration out of range: {seconds} seconds, {nanos} nanos")
    sign = "-" if seconds < 0 or nanos < 0 else ""
    return f"{sign}{abs(seconds)}{_fraction(abs(nanos))}s"


def decode_field_mask(value: object, message: Any, depth: int) -> Faults:
    """Read comma-separated lowerCamelCase paths into a FieldMask."""
    if depth < 1:
        return too_deep()
    # An underscore in a path would not survive the way back: "the conversion must be lossless" - field_mask.proto
    if type(value) is not str or "_" in value:
        return mismatch(None, "", value, _FIELD_MASK_WORDS)
    try:
        message.paths.extend(_CAMEL_HUMP.sub(_lower, value).split(",") if value else ())
    except ValueError as error:
        return mismatch(None, "", value, _FIELD_MASK_WORDS, error)
    return None


def encode_field_mask(message: Any, depth: int) -> str:
    """Print a FieldMask."""
    if depth < 1:
        raise Unencodable(message, TOO_DEEP)
    paths = []
    for path in message.paths:
        camel = _SNAKE_JOINT.sub(_upper, path)
        if "_" in camel or _CAMEL_HUMP.search(path):
            raise Unencodable(message, f"field mask path {path!r} has no lowerCamelCase form")
        paths.append(camel)
    return ",".join(paths)


@functools.lru_cache(512)
def _date(days: int) -> str:
    """Return the date so many days from the epoch; the timestamps of one response share few."""
    return (_EPOCH + timedelta(days)).isoformat()[:10]


def _lower(match: re.Match[str]) -> str:
    return "_" + match[0].lower()


def _upper(match: re.Match[str]) -> str:
    return match[1].upper()


def _fraction(nanos: int) -> str:
    if nanos == 0:
        return ""
    if nanos % 1_000_000 == 0:
        return f".{nanos // 1_000_000:03d}"
    if nanos % 1_000 == 0:
        return f".{nanos // 1_000:06d}"
    return f".{nanos:09d}"
