"""Kills what is left when `mesh up` itself is killed: the processes that supervised commands have started.

A command dies with `mesh up` by itself (see child.py), but the kernel's promise does not reach the processes that the
command forks, such as a server's workers. So one guardian lives beside `mesh up`: it is told each process group on its
standard input (`+PGID`, `-PGID`), and when that ends, for whatever reason, it kills the groups that are left.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable


def main(lines: Iterable[str]) -> None:
    """Follow the lines to their end, then kill what was added and not removed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.stdin)
