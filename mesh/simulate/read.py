"""What makes a scenario valid: its ranges and combinations, each with its problem and path."""

from __future__ import annotations

from typing import Final

from mesh.policy.policy import Policy
from mesh.policy.problem import Problems
from mesh.policy.read import flag, number, seconds, whole
from mesh.simulate.scenario import (
    Arrivals,
    Backends,
    Bursts,
    Clients,
    Distribution,
    Event,
    Latency,
    Outage,
    Process,
    Scenario,
)
from mesh.v1 import policy_pb2, simulation_pb2

_DAY: Final = 86400.0
_LEAST: Final = 1e-6
"""A rate or factor that has to be above 0 is at least this."""
_PROCESSES: Final = {
    simulation_pb2.ARRIVAL_PROCESS_UNSPECIFIED: Process.POISSON,
    simulation_pb2.ARRIVAL_PROCESS_POISSON: Process.POISSON,
    simulation_pb2.ARRIVAL_PROCESS_CONSTANT: Process.CONSTANT,
    simulation_pb2.ARRIVAL_PROCESS_CLOSED: Process.CLOSED,
}
_DISTRIBUTIONS: Final = {
    simulation_pb2.LATENCY_DISTRIBUTION_UNSPECIFIED: Distribution.LOGNORMAL,
    simulation_pb2.LATENCY_DISTRIBUTION_LOGNORMAL: Distribution.LOGNORMAL,
    simulation_pb2.LATENCY_DISTRIBUTION_EXPONENTIAL: Distribution.EXPONENTIAL,
    simulation_pb2.LATENCY_DISTRIBUTION_CONSTANT: Distribution.CONSTANT,
}


def read(
    proto: simulation_pb2.Simulation, at: Problems, *, name: str, method: str, policy: Policy
) -> Scenario:
    """Read a scenario; what has problems is replaced by its default, so look at the problems first."""
    duration = seconds(proto, "duration", at, default=60.0, least=1.0, most=_DAY)
    arrivals = _arrivals(proto.arrivals, at.field("arrivals"))
    backends = _backends(proto.backends, at.field("backends"))
    piece = seconds(proto, "slice", at, default=1.0, least=0.01, most=3600.0)
    if piece > duration:
        at.field("slice").add(f'"{piece:g}s" is longer than the whole duration of {duration:g}s')
    warm_up = seconds(proto, "warm_up", at, default=0.0)
    if warm_up and warm_up > duration - piece:
        at.field("warm_up").add(f'"{warm_up:g}s" leaves no slice of a duration of {duration:g}s')
    return Scenario(
        name=proto.name or name,
        duration=duration,
        warm_up=warm_up,
        slice=piece,
        seed=proto.seed,
        arrivals=arrivals,
        clients=Clients(
            count=whole(proto.clients, "count", at.field("clients"), default=10, least=1, most=1000),
            timeout=seconds(proto.clients, "timeout", at.field("clients"), default=0.0, least=0.001)
            if proto.clients.HasField("timeout")
            else None,
        ),
        backends=backends,
        events=tuple(
            _event(event, at.field("events").item(index), duration, backends.count, arrivals.process)
            for index, event in enumerate(proto.events)
        ),
        method=method,
        policy=policy,
    )


def _arrivals(proto: simulation_pb2.Arrivals, at: Problems) -> Arrivals:
    process = _PROCESSES.get(proto.process, Process.POISSON)
    closed = process is Process.CLOSED
    for name in ("rate", "bursts") if closed else ("users", "think_time"):
        if proto.HasField(name):
            reason = "the users decide how often they call" if closed else "only for ARRIVAL_PROCESS_CLOSED"
            at.field(name).add(reason)
    return Arrivals(
        process=process,
        rate=number(proto, "rate", at, default=100.0, least=_LEAST, most=1e6),
        bursts=_bursts(proto.bursts, at.field("bursts")) if proto.HasField("bursts") else None,
        users=whole(proto, "users", at, default=100, least=1, most=100_000),
        think_time=seconds(proto, "think_time", at, default=1.0, least=0.001, most=_DAY),
    )


def _bursts(proto: simulation_pb2.Bursts, at: Problems) -> Bursts:
    every = seconds(proto, "every", at, default=10.0, least=0.001, most=_DAY)
    length = seconds(proto, "length", at, default=1.0, least=0.001)
    if length >= every:
        at.field("length").add(f'"{length:g}s" must be shorter than every {every:g}s')
    return Bursts(
        every=every,
        length=length,
        factor=number(proto, "factor", at, default=5.0, least=_LEAST),
    )


def _backends(proto: simulation_pb2.SimulatedBackends, at: Problems) -> Backends:
    return Backends(
        count=whole(proto, "count", at, default=10, least=1, most=1000),
        workers=whole(proto, "workers", at, default=8, least=1, most=100_000),
        queue=whole(proto, "queue", at, default=0) if proto.HasField("queue") else None,
        latency=_latency(proto.latency, at.field("latency")),
        error_share=number(proto, "error_percent", at, default=0.0, most=100.0) / 100.0,
        error_code=int(proto.error_code) or policy_pb2.STATUS_CODE_UNAVAILABLE,
        network_delay=seconds(proto, "network_delay", at, default=0.0005, most=60.0),
        finishes_abandoned=flag(proto, "finishes_abandoned", default=True),
    )


def _latency(proto: simulation_pb2.Latency, at: Problems) -> Latency:
    median = seconds(proto, "median", at, default=0.01, least=_LEAST, most=3600.0)
    distribution = _DISTRIBUTIONS.get(proto.distribution, Distribution.LOGNORMAL)
    if proto.HasField("p99") and distribution is not Distribution.LOGNORMAL:
        at.field("p99").add(
            "only for LATENCY_DISTRIBUTION_LOGNORMAL; the others have one parameter, the median"
        )
    p99 = seconds(proto, "p99", at, default=5.0 * median, least=median)
    return Latency(distribution=distribution, median=median, p99=p99)


def _event(
    proto: simulation_pb2.SimulatedEvent, at: Problems, duration: float, backends: int, process: Process
) -> Event:
    begin = seconds(proto, "begin", at, default=0.0, most=duration)
    length = seconds(proto, "length", at, default=duration, least=_LEAST)
    if process is Process.CLOSED and proto.HasField("load"):
        at.field("load").add("the users decide how often they call")
    changes = ("outage", "slowdown", "capacity_percent", "error_percent", "load")
    if not any(field.name in changes for field, _ in proto.ListFields()):
        at.add(f"nothing happens: an event has one of {', '.join(changes)}")
    return Event(
        begin=begin,
        end=begin + length,
        backends=whole(proto, "backends", at, default=backends, least=1, most=backends),
        outage=Outage(proto.outage),
        slowdown=number(proto, "slowdown", at, default=1.0, least=_LEAST),
        capacity=number(proto, "capacity_percent", at, default=100.0, most=100.0) / 100.0,
        error_share=number(proto, "error_percent", at, default=0.0, most=100.0) / 100.0,
        load=number(proto, "load", at, default=1.0, least=_LEAST),
    )
