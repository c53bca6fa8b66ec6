"""How a scenario is run: clients and backends with real chains, events, and the clock that drives them.

Everything that decides is the mesh's own: the chains come from `mesh.chain`, the flows from `mesh.engine`. What is
modelled is what surrounds them: when calls are made, how long work takes, what fails. Each client and each backend has a
state of its own, as processes have.

Random numbers come in three streams: when calls are made, how long work takes, and what the policy draws. The first does
not depend on the policy, so two policies are compared under the same calls.
"""

from __future__ import annotations

import math
from random import Random
from typing import Final

from mesh.call import Arity, Side
from mesh.chain import compile_chain
from mesh.engine import Chain
from mesh.order import ORDER
from mesh.simulate import arrival
from mesh.simulate.backend import Backend
from mesh.simulate.client import Client
from mesh.simulate.distribution import sampler
from mesh.simulate.loop import Loop
from mesh.simulate.record import Record
from mesh.simulate.result import Circuits, Result, Slice, Summary, summarise
from mesh.simulate.scenario import Outage, Scenario
from mesh.stage.scope import Scope, State
from mesh.telemetry.instruments import CIRCUIT_STATE
from mesh.telemetry.telemetry import Telemetry

TARGET: Final = "simulated"

_LEFT_OUT: Final = frozenset(
    {
        # They watch calls and change none.
        *("trace", "metrics", "message_metrics", "access_log", "load_report", "attempt_metrics"),
        # They look at messages, of which there are none.
        *("stream_limit", "message_limit", "validation"),
        # They send a call elsewhere, or hide that it failed.
        *("mirror", "route", "fallback"),
    }
)
_ORDER: Final = tuple(slot for slot in ORDER if slot.name not in _LEFT_OUT)


def run(scenario: Scenario) -> Result:
    """Run a scenario to its end, in virtual time. Equal scenarios have equal results."""
    fleet = _Fleet(scenario)
    fleet.loop.run()
    return fleet.result()


class _Fleet:
    """One run."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self.loop = Loop()
        pieces = max(1, math.ceil(scenario.duration / scenario.slice - 1e-9))
        self._record = Record(self.loop, slices=pieces, slice=scenario.slice)
        self._telemetry = [Telemetry() for _ in range(scenario.clients.count)]
        self._circuits: list[Circuits] = []
        work, policy = (Random(f"{scenario.seed}/{what}") for what in ("work", "policy"))  # noqa: S311 - a model's chance
        self._random = policy.random
        latency = sampler(scenario.backends.latency, work)
        self._backends = [
            Backend(
                scenario.backends,
                method=scenario.method,
                chain=self._chain(Side.SERVER, Telemetry()),
                loop=self.loop,
                latency=latency,
                draws=work,
                random=self._random,
                record=self._record,
            )
            for _ in range(scenario.backends.count)
        ]
        clients = [
            Client(
                method=scenario.method,
                chain=self._chain(Side.CLIENT, telemetry),
                loop=self.loop,
                backends=self._backends,
                first=number % scenario.backends.count,
                delay=scenario.backends.network_delay,
                timeout=scenario.clients.timeout,
                random=self._random,
                record=self._record,
            )
            for number, telemetry in enumerate(self._telemetry)
        ]
        # Before the arrivals: what changes and what is called at the same time happen in this order.
        for time in sorted({time for event in scenario.events for time in (event.begin, event.end)}):
            self.loop.at(time, self._change)
        for number in range(1, pieces + 1):
            self.loop.at(number * scenario.slice, self._look)
        arrival.start(scenario, clients, self.loop, Random(f"{scenario.seed}/arrivals"))  # noqa: S311 - as above

    def _chain(self, side: Side, telemetry: Telemetry) -> Chain:
        scenario = self._scenario
        scope = Scope(
            scenario.method,
            Arity.UNARY_UNARY,
            side,
            TARGET,
            scenario.policy,
            telemetry,
            State(),
            self.loop.clock,
            random=self._random,
        )
        return compile_chain(scope, _ORDER)

    def _change(self, _: object) -> None:
        """Bring every backend to where the events that hold now put it."""
        now, spec = self.loop.now, self._scenario.backends
        held = [event for event in self._scenario.events if event.begin <= now < event.end]
        for number, backend in enumerate(self._backends):
            struck = [event for event in held if number < event.backends]
            backend.outage = max((event.outage for event in struck), default=Outage.NONE)
            backend.slowdown = math.prod(event.slowdown for event in struck)
            backend.error_share = max([spec.error_share, *(event.error_share for event in struck)])
            capacity = math.prod(event.capacity for event in struck)
            backend.employ(math.floor(spec.workers * capacity + 0.5))

    def _look(self, _: object) -> None:
        """Note where the clients' circuits stand, as their metrics say."""
        states = [
            int(series.value)
            for telemetry in self._telemetry
            for series in telemetry.snapshot()
            if series.instrument is CIRCUIT_STATE and isinstance(series.value, int)
        ]
        self._circuits.append(Circuits(*(states.count(state) for state in range(3))))

    def result(self) -> Result:
        scenario = self._scenario
        # What comes after the last call's begin is not of any piece of time.
        tallies = self._record.tallies[:-1]
        slices = [
            Slice(
                **summarise(
                    number * scenario.slice, min((number + 1) * scenario.slice, scenario.duration), [tally]
                ),
                circuits=circuits,
            )
            for number, (tally, circuits) in enumerate(zip(tallies, self._circuits, strict=True))
        ]
        first = next(number for number, piece in enumerate(slices) if piece.begin >= scenario.warm_up)
        total = Summary(**summarise(slices[first].begin, scenario.duration, tallies[first:]))
        return Result(name=scenario.name, seed=scenario.seed, slices=slices, total=total, tallies=tallies)
