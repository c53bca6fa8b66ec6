"""How the output of many processes becomes one: whole lines, each with the name of who wrote it."""

from __future__ import annotations

from collections.abc import Callable

Log = Callable[[str, str], None]
"""Takes the name of a process and one line of its output, without its end."""

_LONGEST = 64 * 1024


class Lines:
    """Cuts a stream of bytes into lines; a line that never ends is cut at 64 KiB."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        *whole, rest = (self._rest + data).split(b"\n")
        while len(rest) > _LONGEST:
            whole.append(rest[:_LONGEST])
            rest = rest[_LONGEST:]
        self._rest = rest
        return [_text(line) for line in whole]

    def end(self) -> list[str]:
        """Return what was not ended by a line's end."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")
