"""`mesh up` as a process: what it prints, how it ends, and that nothing survives it, whenever and however it ends."""

import os
import pty
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.up.conftest import alive, events, survivors

pytestmark = pytest.mark.slow

TWO = """
    services:
      - {name: front, command: [python, server.py, fork], after: [back], stop_timeout: 2s}
      - {name: back, command: [python, server.py, fork], instances: 2, stop_timeout: 2s}
"""


class Up:
    """A running `mesh up`, and what it has printed so far."""

    def __init__(self, file, *options):
        command = [sys.executable, "-m", "mesh", "up", str(file), *options]
        self.output = open("output", "w+b")  # noqa: SIM115 - closed by `end`
        self.process = subprocess.Popen(
            command, stdout=self.output, stderr=subprocess.STDOUT, start_new_session=True
        )

    def text(self):
        return open("output", encoding="utf-8", errors="replace").read()

    def until(self, condition, timeout=20.0):
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, self.text()
            assert self.process.poll() is None or condition(), self.text()
            time.sleep(0.02)

    def until_said(self, words):
        self.until(lambda: words in self.text())

    def end(self, number=None, timeout=20.0):
        if number is not None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout)
        finally:
            self.output.close()


@pytest.fixture
def up(environment):
    started = []

    def start(text, *options):
        found = Up(environment(text), *options)
        started.append(found)
        return found

    yield start
    for found in started:
        if found.process.poll() is None:
            found.process.kill()
            found.process.wait()


def nobody_is_left(timeout=5.0):
    end = time.monotonic() + timeout
    while survivors() and time.monotonic() < end:
        time.sleep(0.02)
    return survivors() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_runs_until_told_to_stop(up, number):
    run = up(TWO)
    run.until_said("everything is healthy")

    assert run.end(number) == 0
    text = run.text()
    assert "back.1  | back.1 listens on 127.0.0.1:" in text
    assert "mesh    | stopped" in text
    assert "Traceback" not in text
    assert survivors() == []


def test_an_edit_of_the_policies_reaches_the_processes_and_a_wrong_one_does_not(up, tmp_path):
    text = "services: [{name: a, command: [python, server.py]}]\npolicies: {defaults: {retry: {max_attempts: %s}}}\n"
    run = up(text % 3)
    run.until_said("everything is healthy")
    (resolved,) = (tmp_path / ".mesh/run").glob("*.yaml")

    (tmp_path / "mesh.yaml").write_text(text % 99)
    run.until_said('policies.defaults.retry.max_attempts: "99" is out of range, must be 2 to 10')
    run.until_said("mesh.yaml is not followed")
    assert "max_attempts: 3" in resolved.read_text()

    (tmp_path / "mesh.yaml").write_text(text % 7 + "name: other\n")
    run.until_said("every process is told of the new policies")
    assert "max_attempts: 7" in resolved.read_text()
    assert "name: changed; takes effect when the process starts again" in run.text()

    assert run.end(signal.SIGINT) == 0


def test_a_second_ctrl_c_kills_at_once(up):
    run = up("services: [{name: a, command: [python, server.py, stubborn, fork], stop_timeout: 60s}]")
    run.until_said("everything is healthy")
    run.process.send_signal(signal.SIGINT)
    run.until_said("stopping")

    assert run.end(signal.SIGINT, timeout=5) == 0
    assert survivors() == []


@pytest.mark.parametrize("moment", range(8))
def test_ctrl_c_at_any_moment_leaves_nobody(up, moment):
    """From the first instant of the start to the middle of the stop."""
    run = up(TWO)
    # At the latest of these moments everything has just become healthy.
    time.sleep(0.2 + moment * 0.25 + random.Random(moment).random() * 0.2)
    run.process.send_signal(signal.SIGINT)

    run.end()
    assert survivors() == []
    # Python's own, if it was still importing.
    assert "Traceback" not in run.text() or not events()


@pytest.mark.parametrize("moment", range(6))
def test_killing_mesh_up_itself_leaves_nobody(up, moment):
    """What cannot be caught cannot be cleaned up after; the kernel and the guardian do."""
    run = up(TWO)
    time.sleep(0.4 + moment * 0.3)
    run.end(signal.SIGKILL)

    assert nobody_is_left(), survivors()


def test_killing_mesh_up_when_all_is_healthy_leaves_nobody(up):
    run = up(TWO)
    run.until_said("everything is healthy")
    assert len(survivors()) == 6, "three instances and what they have started"
    run.end(signal.SIGKILL)

    assert nobody_is_left(), survivors()


def test_the_next_run_clears_away_what_a_killed_one_left(up, tmp_path):
    run = up(TWO)
    run.until_said("everything is healthy")
    run.end(signal.SIGKILL)
    assert len(list((tmp_path / ".mesh/run").iterdir())) == 1

    run = up(TWO)
    run.until_said("everything is healthy")
    assert run.end(signal.SIGTERM) == 0
    assert list((tmp_path / ".mesh/run").iterdir()) == []


def test_crashes_are_shown_and_started_again(up):
    run = up("services: [{name: a, command: [python, server.py]}]")
    run.until_said("everything is healthy")
    os.kill(events()[0][2], signal.SIGKILL)
    run.until_said("[mesh] a is started again in 0.5 s")
    run.until(lambda: len(events()) == 2 and run.text().count("listens on") == 2)

    assert run.end(signal.SIGTERM) == 0
    assert survivors() == []


def test_a_start_that_fails_says_who_and_exits_with_1(up):
    run = up("services: [{name: a, command: [python, server.py, crash]}]", "--timeout", "1.5")

    assert run.end() == 1
    assert "mesh up: not healthy after 1.5 s: a (" in run.text()
    assert "a       | about to crash" in run.text()
    assert survivors() == []


def test_with_problems_nothing_is_started(up):
    run = up("services: [{name: a, command: [python, server.py], after: [b]}, {name: c}]")

    assert run.end() == 2
    assert sorted(run.text().splitlines()) == [
        f'{os.getcwd()}/mesh.yaml:1: services[0].after[0]: "b" is not a service of this environment',
        f"{os.getcwd()}/mesh.yaml:1: services[1]: a service has one of command, endpoints and dns, and there is none of them",
    ]
    assert events() == []
    assert not os.path.exists(".mesh")


def test_a_reader_that_goes_away_ends_it(environment):
    file = environment(TWO)
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "mesh", "up", str(file)], stdout=write, stderr=subprocess.DEVNULL
    )
    os.close(write)
    os.close(read)

    assert process.wait(20) == 130, "as after a Ctrl-C while it starts"
    assert survivors() == []


def test_on_a_terminal_there_is_a_table_in_place(environment):
    file = environment(TWO)
    controller, terminal = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(
        [sys.executable, "-m", "mesh", "up", str(file)], stdout=terminal, stderr=terminal, env=environ
    )
    os.close(terminal)
    seen = b""
    while b"2/2" not in seen or b"calls/s" not in seen:
        seen += os.read(controller, 4096)
    process.send_signal(signal.SIGINT)
    try:
        while part := os.read(controller, 4096):
            seen += part
    except OSError:  # the terminal's other end is closed
        pass

    assert process.wait(20) == 0
    os.close(controller)
    assert b"\x1b[" in seen
    assert survivors() == []


def test_alive_tells_the_living_from_the_dead():
    """The tests above are worth nothing if this is wrong."""
    process = subprocess.Popen(["sleep", "60"])
    assert alive(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not alive(process.pid)
    process.wait()
    assert not alive(process.pid)
