"""When the next call is made, and by which client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from mesh.simulate.client import Client
from mesh.simulate.loop import Loop
from mesh.simulate.scenario import Event, Process, Scenario


def start(scenario: Scenario, clients: Sequence[Client], loop: Loop, random: Random) -> None:
    """Have the clients make their calls from now on until the scenario's end."""
    if scenario.arrivals.process is Process.CLOSED:
        for user in range(scenario.arrivals.users):
            _User(scenario, clients[user % len(clients)], loop, random).think()
    else:
        _Open(scenario, clients, loop, random).next()


class _Open:
    """Calls that come whether or not the earlier ones were answered. Between two changes the rate is constant."""

    def __init__(self, scenario: Scenario, clients: Sequence[Client], loop: Loop, random: Random) -> None:
        self._clients = clients
        self._loop = loop
        self._random = random
        self._poisson = scenario.arrivals.process is Process.POISSON
        self._rates = rates(scenario)
        self._index = 0
        self._end = scenario.duration

    def next(self) -> None:
        """Wait for the next call. One unit is a call's share of the rate: a change of rate stretches what is left."""
        units = self._random.expovariate(1.0) if self._poisson else 1.0
        time = self._loop.now
        while True:
            _, rate = self._rates[self._index]
            change = self._rates[self._index + 1][0] if self._index + 1 < len(self._rates) else self._end
            if time + units / rate < change:
                self._loop.at(time + units / rate, self._call)
                return
            if change >= self._end:
                return
            units -= (change - time) * rate
            time = change
            self._index += 1

    def _call(self, _: object) -> None:
        clients = self._clients
        clients[int(self._random.random() * len(clients))].begin()
        self.next()


def rates(scenario: Scenario) -> list[tuple[float, float]]:
    """Return the calls a second by when they change, from 0.0 on."""
    arrivals, bursts, end = scenario.arrivals, scenario.arrivals.bursts, scenario.duration
    loads = [event for event in scenario.events if event.load != 1.0]
    times = {0.0, *(time for event in loads for time in (event.begin, event.end))}
    factor: Callable[[float], float] = _once
    if bursts is not None:
        begin, number = bursts.every, 1
        while begin < end:
            times |= {begin, begin + bursts.length}
            number += 1
            begin = bursts.every * number
        burst = bursts

        def factor(time: float) -> float:
            # In the middle of two changes, where rounding does not matter.
            return burst.factor if time > burst.every and time % burst.every < burst.length else 1.0

    changes = sorted(time for time in times if time < end)
    found = []
    for time, after in zip(changes, [*changes[1:], end], strict=True):
        middle = (time + after) / 2
        found.append((time, arrivals.rate * factor(middle) * _load(loads, middle)))
    return found


def _once(_: float) -> float:
    return 1.0


def _load(loads: Sequence[Event], time: float) -> float:
    product = 1.0
    for event in loads:
        if event.begin <= time < event.end:
            product *= event.load
    return product


class _User:
    """Somebody who calls, waits for the answer, thinks, and calls again."""

    def __init__(self, scenario: Scenario, client: Client, loop: Loop, random: Random) -> None:
        self._client = client
        self._loop = loop
        self._random = random
        self._end = scenario.duration
        self._think = scenario.arrivals.think_time

    def think(self) -> None:
        pause = self._random.expovariate(1.0 / self._think)
        if self._loop.now + pause < self._end:
            self._loop.after(pause, self._call)

    def _call(self, _: object) -> None:
        self._client.begin(self.think)
