"""Runs before each supervised command: makes sure it cannot outlive `mesh up`, then becomes the command.

Started by its path, without the packages of the mesh, so that it costs a bare interpreter. A preexec_fn would run
between fork and exec in a process with threads (grpc's), where almost nothing is allowed.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Become the command; the kernel kills it when `parent` dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("mesh up ended while this was starting")
    try:
        os.execvp(command[0], command)  # noqa: S606 - the operator's command, without a shell
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
