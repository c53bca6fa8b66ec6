"""A gateway that was started in a terminal ends with it; one that never had one is only told to reload."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from tests.gateway.server.process import ENVIRON, ROOT

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("workers", [1, 2])
def test_a_terminal_that_goes_takes_the_gateway_along(environment, workers):
    master, slave = pty.openpty()
    # The first terminal that the leader of a session opens is the session's.
    command = (
        f'exec "{sys.executable}" -m gateway --config "{environment(workers=workers)}" <"{os.ttyname(slave)}"'
    )
    process = subprocess.Popen(
        ["sh", "-c", command],
        cwd=ROOT,
        env=ENVIRON,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(slave)
    try:
        assert process.stderr is not None
        with process.stderr:
            assert any("gateway ready on" in line for line in process.stderr)
            os.close(master)
            assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
