"""The breaker is explored: every sequence of inputs to depth 7, against the rules in its module docstring."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.mechanism.breaker import Circuit, CircuitBreaker
from mesh.mechanism.window import RateWindow
from tests.mechanism.circuit import DEFAULTS, breaker

LEGAL = {
    (Circuit.CLOSED, Circuit.OPEN),
    (Circuit.OPEN, Circuit.HALF_OPEN),
    (Circuit.HALF_OPEN, Circuit.CLOSED),
    (Circuit.HALF_OPEN, Circuit.OPEN),
}


def values(thing: Any) -> tuple[Any, ...]:
    """Everything a breaker or its window remembers."""
    slots = (getattr(thing, name) for name in type(thing).__slots__)
    return tuple(
        values(slot) if isinstance(slot, RateWindow) else tuple(slot) if isinstance(slot, list) else slot
        for slot in slots
    )


@dataclass
class World:
    """A breaker, the permits not yet handed back, and what its rules say must be true, kept in the plainest way."""

    breaker: CircuitBreaker
    now: float = 0.0
    held: list[tuple[int, int]] = field(
        default_factory=list
    )  # permit, number of the transition it was issued in
    calls: list[bool] = field(default_factory=list)  # answers since the circuit was last closed
    slow: list[bool] = field(default_factory=list)  # which of them were slow
    probes: int = 0  # probes of this half-open state that succeeded
    opening: float = 1.0
    opened: float = 0.0
    round: tuple[int, float] = (
        0,
        0.0,
    )  # the permit number of the last round of probes and when it was first issued

    def copy(self) -> World:
        twin = copy.copy(self)
        twin.held = self.held.copy()
        twin.calls, twin.slow = self.calls.copy(), self.slow.copy()
        twin.breaker = copy.copy(self.breaker)
        for name in ("_window", "_slow"):
            window = copy.copy(getattr(self.breaker, name))
            window._calls, window._failures = window._calls.copy(), window._failures.copy()
            setattr(twin.breaker, name, window)
        return twin

    def key(self) -> tuple[Any, ...]:
        return (
            *values(self.breaker),
            self.now,
            tuple(self.held),
            tuple(self.calls),
            tuple(self.slow),
            self.probes,
            self.opened,
        )

    def step(self, action: str, config: dict[str, Any]) -> None:
        """Apply one input: wait; hold; an ending of the oldest held permit; or a whole call, `call ok`."""
        if action == "wait":
            self.now += 1.0
        elif action == "hold":
            self.acquire(config)
        elif action.startswith("call "):
            if self.acquire(config):
                self.settle(self.held.pop(), action.removeprefix("call "), config)
        elif self.held:
            self.settle(self.held.pop(0), action, config)
        self.check(config)

    def acquire(self, config: dict[str, Any]) -> bool:
        before, transitions = self.breaker.state, self.breaker.transitions
        permit = self.breaker.try_acquire(self.now)
        is_time_up = self.now >= self.opened + self.opening
        if before is Circuit.CLOSED:
            assert permit is not None, "a closed circuit passes"
        elif before is Circuit.OPEN:
            assert (permit is not None) == is_time_up, (
                "an open circuit rejects until its time is up, then probes"
            )
            if is_time_up:
                assert (Circuit.HALF_OPEN, transitions + 1) == (self.breaker.state, self.breaker.transitions)
                self.round = (permit, self.now)
        else:
            in_flight = Counter(held for held, _ in self.held)[self.round[0]]
            is_room = in_flight + self.probes < config["half_open_probes"]
            is_given_up = not is_room and self.now >= self.round[1] + self.opening
            assert (permit is not None) == (is_room or is_given_up), "a half-open circuit sends what it needs"
            assert (permit == self.round[0]) == is_room, "a new round only when the last one is given up"
            if permit is not None and is_given_up:
                self.round = (permit, self.now)
        if permit is not None:
            self.held.append((permit, self.breaker.transitions))
            if self.breaker.state is Circuit.HALF_OPEN:
                in_flight = Counter(held for held, _ in self.held)[permit]
                assert in_flight + self.probes <= config["half_open_probes"], "no more probes than needed"
        return permit is not None

    def settle(self, permit: tuple[int, int], answer: str, config: dict[str, Any]) -> None:
        memory = values(self.breaker)
        before, transitions = self.breaker.state, self.breaker.transitions
        ok, slow = ANSWERS[answer]
        self.breaker.record(permit[0], ok, self.now, slow=slow)
        after = self.breaker.state
        if permit[1] != transitions:
            assert memory == values(self.breaker), "a straggler changes nothing"
            return
        if ok is None:
            assert before is after, "an answer that says nothing moves nothing"
            return
        if before is Circuit.CLOSED:
            self.calls.append(ok)
            self.slow.append(slow)
            assert (after is Circuit.OPEN) == self.is_to_open(config)
        elif not ok or (slow and config["slow_call_ratio"] is not None):
            assert after is Circuit.OPEN, (
                "one probe that failed opens, and one that was slow where that matters"
            )
            self.opening = min(self.opening * 2, config["max_open_for"])
        else:
            self.probes += 1
            assert (after is Circuit.CLOSED) == (self.probes == config["half_open_probes"])
        if after is not before:
            assert (before, after) in LEGAL
            self.probes = 0
            self.calls, self.slow = [], []
        if after is Circuit.OPEN:
            self.opened = self.now
        elif after is Circuit.CLOSED:
            self.opening = config["open_for"]

    def is_to_open(self, config: dict[str, Any]) -> bool:
        row = config["consecutive_failures"]
        slow = config["slow_call_ratio"]
        enough = len(self.calls) >= config["minimum_calls"]
        if self.slow[-1] and slow is not None and enough and self.slow.count(True) / len(self.slow) >= slow:
            return True
        if self.calls[-1]:
            return False
        if row is not None and not any(self.calls[-row:]) and len(self.calls) >= row:
            return True
        ratio = config["failure_ratio"]
        if ratio is None or not enough:
            return False
        return self.calls.count(False) / len(self.calls) >= ratio

    def check(self, config: dict[str, Any]) -> None:
        opens_in = self.opened + self.opening - self.now
        expected = max(0.0, opens_in) if self.breaker.state is Circuit.OPEN else 0.0
        assert expected == self.breaker.retry_after(self.now)

    def recover(self, config: dict[str, Any]) -> None:
        """Whatever happened, a target that answers is called again, even if no held permit ever comes back."""
        for _ in range(config["half_open_probes"] + 1):
            self.now += config["max_open_for"]
            self.step("call ok", config)
        assert self.breaker.state is Circuit.CLOSED


ANSWERS: dict[str, tuple[bool | None, bool]] = {
    "ok": (True, False),
    "fail": (False, False),
    "slow": (True, True),
    "timeout": (False, True),
    "none": (None, False),
    "given up": (None, True),
}
"""Whether it succeeded, and whether it was slow."""

CALLS = ("call ok", "call fail", "call none", "ok", "wait")
SLOW = ("call ok", "call slow", "call timeout", "call given up", "wait")
PERMITS = ("hold", "ok", "fail", "none", "wait")


@pytest.mark.parametrize(
    ("actions", "changes"),
    [
        (CALLS, {"consecutive_failures": 1, "half_open_probes": 2}),
        (CALLS, {"consecutive_failures": 2}),
        (CALLS, {"consecutive_failures": None, "failure_ratio": 0.5, "minimum_calls": 3}),
        (CALLS, {"consecutive_failures": 2, "failure_ratio": 0.6, "minimum_calls": 2}),
        (SLOW, {"consecutive_failures": None, "slow_call_ratio": 0.5, "minimum_calls": 3}),
        (
            SLOW,
            {"consecutive_failures": 2, "slow_call_ratio": 0.6, "minimum_calls": 2, "half_open_probes": 2},
        ),
        (
            SLOW,
            {"consecutive_failures": None, "failure_ratio": 0.6, "slow_call_ratio": 1.0, "minimum_calls": 2},
        ),
        (PERMITS, {"consecutive_failures": 1}),
        (PERMITS, {"consecutive_failures": 1, "half_open_probes": 2}),
    ],
)
def test_every_sequence_of_seven_inputs(actions: tuple[str, ...], changes: dict[str, Any]) -> None:
    """Every rule holds after every sequence; sequences that lead to the same memory are continued once."""
    config = {**DEFAULTS, **changes}
    start = World(breaker(**changes))
    if actions is CALLS:
        for _ in range(3):  # answers of these arrive at any time later, as the input "ok"
            start.acquire(config)
    worlds, states = [start], set()
    for _ in range(7):
        reached = {}
        for world in worlds:
            for action in actions:
                after = world.copy()
                after.step(action, config)
                reached.setdefault(after.key(), after)
        worlds = list(reached.values())
        states |= {world.breaker.state for world in worlds}
    for world in worlds:
        world.recover(config)

    assert set(Circuit) == states


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from((*CALLS, *PERMITS, *SLOW, "slow", "timeout")), max_size=40),
    st.fixed_dictionaries(
        {
            "consecutive_failures": st.none() | st.integers(1, 4),
            "failure_ratio": st.none() | st.sampled_from((0.25, 0.5, 1.0)),
            "slow_call_ratio": st.none() | st.sampled_from((0.25, 0.5, 1.0)),
            "minimum_calls": st.integers(1, 6),
            "max_open_for": st.sampled_from((1.0, 4.0, 64.0)),
            "half_open_probes": st.integers(1, 4),
        }
    ),
)
def test_long_sequences(actions: list[str], changes: dict[str, Any]) -> None:
    """The same rules, for longer lives and other settings."""
    config = {**DEFAULTS, **changes}
    world = World(breaker(**changes))
    for action in actions:
        world.step(action, config)
    world.recover(config)
