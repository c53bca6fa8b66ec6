"""When a process is started, given up and started again: rules one by one, then every sequence of inputs."""

import copy
import dataclasses

from mesh.up.machine import RUNNING, Action, Machine, State

INF = float("inf")


def machine(**options):
    defaults = {
        "start_timeout": 5.0,
        "stop_timeout": 3.0,
        "backoff": 1.0,
        "max_backoff": 8.0,
        "stable_after": 10.0,
    }
    return Machine(**(defaults | options))


def healthy(now=0.0):
    found = machine()
    found.start(now)
    found.probed(now, serving=True)
    return found


def test_starts_once_what_it_needs_is_there():
    subject = machine()

    assert subject.state is State.PENDING
    assert subject.start(1.0) is Action.SPAWN
    assert (subject.state, subject.deadline) == (State.STARTING, 6.0)
    assert subject.start(2.0) is None


def test_a_process_that_is_not_healthy_in_time_is_killed_and_started_again_after_a_wait():
    subject = machine()
    subject.start(0.0)

    assert subject.tick(4.9) is None
    assert subject.tick(5.0) is Action.KILL
    subject.probed(5.1, serving=True)
    assert subject.state is State.STARTING, "an answer that comes too late does not count"
    assert subject.exited(5.2, -9) is None
    assert (subject.state, subject.deadline) == (State.BACKOFF, 6.2)
    assert subject.tick(6.2) is Action.SPAWN
    assert subject.restarts == 1


def test_waits_double_up_to_the_longest():
    subject = machine()
    subject.start(0.0)
    waits = []
    for _ in range(6):
        subject.exited(0.0, 1)
        waits.append(subject.deadline)
        subject.tick(subject.deadline)

    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_waits_stay_bounded_after_very_many_failures():
    subject = machine()
    subject.start(0.0)
    for _ in range(2000):
        subject.exited(0.0, 1)
        subject.tick(subject.deadline)

    subject.exited(0.0, 1)
    assert subject.deadline == 8.0


def test_waits_start_anew_after_a_stable_time():
    subject = machine()
    subject.start(0.0)
    for _ in range(3):
        subject.exited(0.0, 1)
        subject.tick(subject.deadline)
    subject.probed(100.0, serving=True)
    subject.exited(109.9, 1)
    assert subject.deadline == 109.9 + 8.0

    subject.tick(subject.deadline)
    subject.probed(200.0, serving=True)
    subject.exited(210.0, 1)
    assert subject.deadline == 211.0


def test_an_unhealthy_process_is_left_to_run_and_may_recover():
    subject = healthy()

    subject.probed(1.0, serving=False)
    assert (subject.state, subject.deadline) == (State.UNHEALTHY, INF)
    subject.probed(2.0, serving=True)
    assert subject.state is State.HEALTHY


def test_stops_politely_then_not():
    subject = healthy()

    assert subject.stop(1.0) is Action.TERMINATE
    assert (subject.state, subject.deadline) == (State.STOPPING, 4.0)
    assert subject.stop(2.0) is None
    assert subject.tick(4.0) is Action.KILL
    assert subject.exited(4.1, -9) is None
    assert (subject.state, subject.exit_code) == (State.STOPPED, -9)


def test_what_does_not_run_is_stopped_at_once():
    subject = machine()
    assert subject.stop(0.0) is None
    assert subject.state is State.STOPPED

    subject = healthy()
    subject.exited(0.0, 1)
    assert subject.stop(0.0) is None
    assert (subject.state, subject.deadline) == (State.STOPPED, INF)


def test_restarting_stops_and_starts_without_a_wait():
    subject = healthy()

    assert subject.restart(1.0) is Action.TERMINATE
    assert subject.exited(2.0, 0) is Action.SPAWN
    assert (subject.state, subject.deadline, subject.restarts) == (State.STARTING, 7.0, 1)


def test_restarting_what_waits_ends_the_wait():
    subject = healthy()
    subject.exited(0.0, 1)

    assert subject.restart(0.1) is None
    assert subject.tick(0.1) is Action.SPAWN


def test_stopping_wins_over_restarting():
    subject = healthy()
    subject.restart(1.0)
    subject.stop(1.1)

    assert subject.exited(2.0, 0) is None
    assert subject.state is State.STOPPED


def test_killing_is_immediate_and_final():
    subject = healthy()

    assert subject.kill() is Action.KILL
    assert subject.kill() is None
    assert subject.exited(0.0, -9) is None
    assert subject.state is State.STOPPED


INPUTS = {
    "start": lambda subject, now: subject.start(now),
    "serving": lambda subject, now: subject.probed(now, serving=True),
    "not serving": lambda subject, now: subject.probed(now, serving=False),
    "exit": lambda subject, now: subject.exited(now, 1),
    "tick": lambda subject, now: subject.tick(now),
    "wait": lambda subject, now: subject.tick(now),
    "stop": lambda subject, now: subject.stop(now),
    "restart": lambda subject, now: subject.restart(now),
    "kill": lambda subject, _: subject.kill(),
}


@dataclasses.dataclass(frozen=True)
class World:
    """A machine, and what its shell knows."""

    subject: Machine
    now: float = 0.0
    alive: bool = False
    ending: bool = False
    """Stopped or killed for good."""
    killed: bool = False

    def key(self):
        """Return all that the future depends on: times relative to now, and only as far as they matter."""
        subject = self.subject
        return (
            subject.state,
            max(subject.deadline - self.now, -1.0),
            min(self.now - subject._healthy_since, 20.0),
            min(subject._failures, 5),
            *(subject._again, subject._killed, self.alive, self.ending, self.killed),
        )


def step(world, name):
    """Give the machine one input as its shell would, and check what must hold whatever came before."""
    subject, now = copy.copy(world.subject), world.now + 1.0
    if (name == "exit" and not world.alive) or (name == "wait" and subject.deadline == INF):
        return None
    if name == "wait":
        now = max(now, subject.deadline)
    before, action = subject.state, INPUTS[name](subject, now)
    alive, killed = (False, False) if name == "exit" else (world.alive, world.killed)
    ending = world.ending or name in {"stop", "kill"}
    if action is Action.SPAWN:
        assert not alive, "two processes at once"
        assert not ending, "started after it was stopped for good"
        alive = True
    elif action is not None:
        assert alive, "a signal to nobody"
        assert not killed, "a signal to who is being killed"
        killed = action is Action.KILL
    assert alive == (subject.state in RUNNING)
    if subject.state in {State.STARTING, State.STOPPING, State.BACKOFF}:
        assert killed or subject.deadline < INF, "waits for ever"
    assert before is not State.STOPPED or subject.state is State.STOPPED
    assert not ending or subject.state in {State.STOPPING, State.STOPPED}
    return World(subject, now, alive, ending, killed)


def test_every_state_that_any_sequence_of_inputs_leads_to():
    pending = [World(machine())]
    seen = {pending[0].key()}
    while pending:
        world = pending.pop()
        for name in INPUTS:
            after = step(world, name)
            if after is not None and after.key() not in seen:
                seen.add(after.key())
                pending.append(after)

    assert {key[0] for key in seen} == set(State)
