"""What Ctrl-C does to a command that has not begun its work yet: it ends at once, and says nothing."""

from __future__ import annotations

import signal


def ends_quietly() -> None:
    """Let Ctrl-C end the process until a handler of the event loop takes its place.

    Python's own handler raises wherever the program happens to be: a traceback of half an import, and inside a callback
    of the C runtime an exception that is printed and forgotten, after which the command runs on.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
