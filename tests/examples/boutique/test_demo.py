"""The demo, from protos to its last answer: what it shows is right, and nothing of it is left behind."""

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from .conftest import BOUTIQUE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
async def demo(tmp_path):
    """Return a function that starts the demo in a copy of its folder: no generated code, nobody else's files."""
    folder = tmp_path / "boutique"
    kept = ("*.py", "*.yaml", "protos", "services", "data")
    folder.mkdir()
    for pattern in kept:
        for source in BOUTIQUE.glob(pattern):
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, folder / source.name)
    started = []

    async def start(**environment):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(folder / "demo.py"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": str(BOUTIQUE.parents[1])} | environment,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


def left_behind(process):
    """Return the processes that were told to live in the demo's environment."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if b"/boutique/.mesh/run/%d-" % process.pid in environ.read_bytes():
                found.append((environ.parent / "cmdline").read_bytes())
        except OSError:  # it has just ended, or is somebody else's
            continue
    return found


async def test_once_makes_every_call_and_ends_with_0(demo):
    process = await demo(ONCE="1")
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    assert "every answer was right" in output
    assert output.count("$ curl ") >= 8
    assert "✗" not in output
    assert "\x1b" not in output  # no colours where there is no terminal
    assert not left_behind(process)


async def test_without_once_it_stays_until_ctrl_c_and_stops_cleanly(demo):
    process = await demo(LISTEN="127.0.0.1:0", VISITORS="1", ONCE="")
    output = []
    while "stop with Ctrl-C" not in "".join(output[-1:]):
        line = (await process.stdout.readline()).decode()
        assert line, "".join(output)
        output.append(line)
    assert left_behind(process)  # the shop is open
    process.send_signal(signal.SIGINT)
    output.append((await process.stdout.read()).decode())
    assert await process.wait() == 0, "".join(output)
    assert "stopped" in output[-1]
    assert "Traceback" not in output[-1]
    assert not left_behind(process)


async def test_a_place_to_listen_that_is_none_is_refused_before_anything_starts(demo):
    process = await demo(LISTEN="nowhere", ONCE="1")
    output = (await process.communicate())[0].decode()
    assert process.returncode == 2
    assert 'LISTEN: "nowhere" is not HOST:PORT' in output
