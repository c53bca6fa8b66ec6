"""Whether the files that a schema is read from have changed, all of them to the end."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from mesh.config.watch import INTERVAL, FileWatch


class Files:
    """Descriptor sets and rule files, seen as one: a change that takes several of them is one change."""

    __slots__ = ("_due", "_watches")

    def __init__(self, paths: Iterable[Path]) -> None:
        """Begin with the files as they are now."""
        self._watches = tuple(map(FileWatch, paths))
        self._due = False

    def changed(self) -> bool:
        """Look again; return whether there is a change that nobody was told of, and no file is being written."""
        # No look is left out: a change counts when two looks in a row agree.
        found = [watch.changed() for watch in self._watches]
        self._due = self._due or any(found)
        if any(watch.settling for watch in self._watches):
            return False
        due, self._due = self._due, False
        return due

    def again(self) -> None:
        """Have the next look find a change: what was read was not whole."""
        self._due = True

    def pause(self) -> float:
        """Return the seconds until the next look."""
        return min((watch.pause() for watch in self._watches), default=INTERVAL)

    def digest(self) -> bytes:
        """Return what tells these contents from others."""
        content = hashlib.sha256()
        for watch in self._watches:
            try:
                data = watch.file.read_bytes()
            except OSError as error:  # as it is said when it is loaded
                data = str(error).encode()
            content.update(len(data).to_bytes(8, "big") + data)
        return content.digest()

    def __repr__(self) -> str:
        return f"<Files {', '.join(str(watch.file) for watch in self._watches)}>"
