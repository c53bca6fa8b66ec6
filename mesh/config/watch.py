"""Whether a file has changed since it was last looked at, and has been written to the end."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

INTERVAL: Final = 1.0
"""Seconds between two looks."""
_SETTLING: Final = 0.1
"""Seconds between two looks at a file that is being written."""

Mark = tuple[int, int, int, int] | None
"""What tells two states of a file apart; None where there is no file."""


class FileWatch:
    """Looks at a file by `stat`: no descriptor, no dependency, and the same on every file system.

    A symlink is followed to its end, so a ConfigMap that Kubernetes swaps by its `..data` link has changed. A change
    counts when two looks in a row agree: an editor that is still writing has left half a file, or an empty one, and an
    empty environment is a valid one.
    """

    __slots__ = ("_known", "_seen", "file")

    def __init__(self, file: Path) -> None:
        """Begin with the file as it is now."""
        self.file = file
        self._known = self._seen = _mark(file)

    def changed(self) -> bool:
        """Look again; return whether there is a change that nobody was told of."""
        before, self._seen = self._seen, _mark(self.file)
        if self._seen == self._known or self._seen != before or self._seen is None:
            return False
        self._known = self._seen
        return True

    @property
    def settling(self) -> bool:
        """Whether the last look found it changing, so that the next should come soon."""
        return self._seen != self._known and self._seen is not None

    def pause(self, interval: float = INTERVAL) -> float:
        """Return the seconds until the next look."""
        return min(_SETTLING, interval) if self.settling else interval

    def __repr__(self) -> str:
        return f"<FileWatch {self.file}>"


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether files are to be followed; MESH_RELOAD=0 says no."""
    return environ.get("MESH_RELOAD", "1") != "0"


def _mark(file: Path) -> Mark:
    try:
        found = os.stat(file)
    except OSError:  # between two renames, or gone: what was read last stays
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
