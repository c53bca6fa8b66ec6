"""The command line as users run it: a process of its own."""

import subprocess
import sys

import pytest

from tests.up.conftest import environment

__all__ = ["environment"]


@pytest.fixture
def mesh():
    """Return what runs `mesh` with arguments, in the current folder."""

    def run(*arguments):
        command = [sys.executable, "-m", "mesh", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    return run
