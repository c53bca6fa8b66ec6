"""What a scenario is: the fleet, what happens to it and the policy, as values that are known to be valid."""

from __future__ import annotations

import dataclasses
import enum

from mesh.policy.policy import Policy


class Process(enum.Enum):
    """How calls follow each other."""

    POISSON = "poisson"
    CONSTANT = "constant"
    CLOSED = "closed"


class Distribution(enum.Enum):
    """How times are distributed."""

    LOGNORMAL = "lognormal"
    EXPONENTIAL = "exponential"
    CONSTANT = "constant"


class Outage(enum.IntEnum):
    """How a backend is out of order; of several the highest holds."""

    NONE = 0
    FAIL = 1
    HANG = 2
    DOWN = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bursts:
    """Times of a higher rate."""

    every: float = 10.0
    length: float = 1.0
    factor: float = 5.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """When calls are made."""

    process: Process = Process.POISSON
    rate: float = 100.0
    bursts: Bursts | None = None
    users: int = 100
    think_time: float = 1.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """Who calls."""

    count: int = 10
    timeout: float | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long work takes."""

    distribution: Distribution = Distribution.LOGNORMAL
    median: float = 0.01
    p99: float = 0.05


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """Who answers."""

    count: int = 10
    workers: int = 8
    queue: int | None = None
    latency: Latency = Latency()
    error_share: float = 0.0
    error_code: int = 14
    network_delay: float = 0.0005
    finishes_abandoned: bool = True


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What goes wrong with the backends below number `backends`, from `begin` until before `end`."""

    begin: float = 0.0
    end: float
    backends: int
    outage: Outage = Outage.NONE
    slowdown: float = 1.0
    capacity: float = 1.0
    error_share: float = 0.0
    load: float = 1.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that a run depends on: equal scenarios have equal results. Times are in seconds, shares from 0 to 1."""

    name: str = "scenario"
    duration: float = 60.0
    warm_up: float = 0.0
    slice: float = 1.0
    seed: int = 0
    arrivals: Arrivals = Arrivals()
    clients: Clients = Clients()
    backends: Backends = Backends()
    events: tuple[Event, ...] = ()
    method: str
    """`/package.Service/Method`."""
    policy: Policy
    """Of the method, on both sides."""
