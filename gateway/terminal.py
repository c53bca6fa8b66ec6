"""Whether SIGHUP means what it says: that the terminal a gateway was started in is gone, or an operator asks for a reload."""

from __future__ import annotations

import os


class Terminal:
    """The terminal of this process at the start, if it had one."""

    __slots__ = ("_was_there",)

    def __init__(self) -> None:
        self._was_there = _is_there()

    @property
    def is_gone(self) -> bool:
        """Whether there was one, and is none any more."""
        return self._was_there and not _is_there()

    def __repr__(self) -> str:
        return f"<Terminal {'gone' if self.is_gone else 'there' if self._was_there else 'never there'}>"


def _is_there() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
