"""How busy this server is, told to each client several times a second, so that they can balance by weight."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from mesh.call import CURRENT, Call, Outcome
from mesh.contract import Stage
from mesh.mechanism.load import Load
from mesh.stage.breaker import FAILURES
from mesh.stage.scope import Scope

TRAILER: Final = "endpoint-load-metrics-bin"

_REFRESH: Final = 0.25
"""Seconds a report is sent again before it is measured anew; clients update weights once a second."""

# xds.data.orca.v3.OrcaLoadReport, by hand, since xds-protos overwrites other packages' files:
# `double cpu_utilization = 1;` `map<string, double> request_cost = 4;` `map<string, double> utilization = 5;`
# `double rps_fractional = 6;` `double eps = 7;` `map<string, double> named_metrics = 8;`
# `double application_utilization = 9;`
_REPORT: Final = struct.Struct("<BdBdBd")
_NUMBER: Final = struct.Struct("<Bd")
_CPU, _RPS, _EPS, _APPLICATION = (number << 3 | 1 for number in (1, 6, 7, 9))
_COST, _UTILIZATION, _NAMED = (number << 3 | 2 for number in (4, 5, 8))
# "map<K, V> ... is equivalent to repeated MapFieldEntry { K key = 1; V value = 2; }" - protobuf's encoding guide
_KEY, _VALUE = 1 << 3 | 2, 2 << 3 | 1
_LONGEST_NAME: Final = 100
"""Bytes; lengths of entries then fit in one byte."""

IN_FLIGHT: Final = "mesh.in_flight"
"""The named metric that tells how many calls the process is handling."""


class Report:
    """The current load report of this process, measured at most every `_REFRESH` seconds."""

    __slots__ = ("_busy", "_clock", "_cpu", "_due", "_since", "_text", "_told", "load", "utilization")

    def __init__(self, load: Load, clock: Callable[[], float], cpu: Callable[[], float]) -> None:
        self.load = load
        self._clock = clock
        self._cpu = cpu
        self._since = clock()
        self._busy = cpu()
        self._due = self._since + _REFRESH
        self._text = encode(cpu=0.0, rps=0.0, eps=0.0)
        self._told: set[str] = set()
        self.utilization = b""
        """The application's own utilisation, encoded; empty until a handler says it, then the last that was said."""

    def owed(self, peer: str, now: float) -> bool:
        """Return whether a connection has not had the current report, and note that it has it now.

        Clients weigh once a second: the same report with every answer of a busy connection would cost a trailer each.
        A peer without a name gets it always.
        """
        if self._since <= now < self._due:  # or the clock went back
            if peer in self._told:
                return False
        else:
            self._told.clear()
        if peer:
            self._told.add(peer)
        return True

    def trailer(self, now: float, own: bytes = b"") -> tuple[str, bytes]:
        """Return the trailing metadata; `own` is what one call adds: of a field that is there twice the last counts."""
        if not self._since <= now < self._due:
            busy, elapsed = self._cpu(), max(_REFRESH, now - self._since)  # less if the clock went back
            rps, eps = self.load.rates(now)
            text = encode(cpu=(busy - self._busy) / elapsed, rps=rps, eps=eps)
            self._text = text + self.utilization + _entry(_NAMED, IN_FLIGHT, self.load.in_flight)
            self._busy, self._since, self._due = busy, now, now + _REFRESH
        return TRAILER, self._text + own

    def __repr__(self) -> str:
        return f"<Report since {self._since:g}, told to {len(self._told)}>"


class Said(NamedTuple):
    """What a handler said about load, encoded."""

    utilization: bytes
    call: bytes
    """What is about its own call."""


def report_load(
    *,
    utilization: float | None = None,
    costs: Mapping[str, float] = MappingProxyType({}),
    utilizations: Mapping[str, float] = MappingProxyType({}),
    metrics: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Add to the load report that goes with the answer to the call being handled (ORCA).

    `utilization` is how busy the application says the server is, 1.0 is full; clients that balance by weight take it
    instead of the CPU's, and it holds until another call says it again. `costs` (what this request used, by name),
    `utilizations` (0 to 1, by resource) and `metrics` go with this answer alone.

    Does nothing outside a call that the mesh handles, and where `load_report` is off. Raises ValueError for a negative
    number or one that is not finite, and for a name that is empty or longer than 100 bytes.
    """
    parts = [
        _entry(number, name, value)
        for number, values in ((_COST, costs), (_UTILIZATION, utilizations), (_NAMED, metrics))
        for name, value in values.items()
    ]
    own = b"" if utilization is None else _NUMBER.pack(_APPLICATION, _checked("utilization", utilization))
    call = CURRENT.get()
    if call is not None:
        said: Said = call.reported or Said(b"", b"")
        call.reported = Said(own or said.utilization, said.call + b"".join(parts))


def _entry(field: int, name: str, value: float) -> bytes:
    key = name.encode()
    if not 0 < len(key) <= _LONGEST_NAME:
        raise ValueError(f'"{name}" is no name for a load metric, which has 1 to {_LONGEST_NAME} bytes')
    entry = bytes((_KEY, len(key))) + key + _NUMBER.pack(_VALUE, _checked(name, value))
    return bytes((field, len(entry))) + entry


def _checked(name: str, value: float) -> float:
    if not 0.0 <= value < math.inf:
        raise ValueError(f'{name}: "{value}" is no load, which is a finite number of at least 0')
    return float(value)


def encode(*, cpu: float, rps: float, eps: float) -> bytes:
    """Return an OrcaLoadReport on the wire. CPU is in cores: an asyncio server is full at 1.0."""
    return _REPORT.pack(_CPU, cpu, _RPS, rps, _EPS, eps)


class LoadReport(Stage):
    """Counts calls and adds the report to the first answer to each client, and to those whose handler said something."""

    __slots__ = ("_report",)

    name = "load_report"

    def __init__(self, report: Report) -> None:
        self._report = report

    def admit(self, call: Call, now: float) -> Outcome | object:  # noqa: ARG002 - the contract's signature
        self._report.load.begin(now)
        return None

    def settle(self, call: Call, ticket: Any, outcome: Outcome, now: float) -> None:  # noqa: ARG002 - the contract's signature
        report, code = self._report, outcome.code
        said: Said | None = call.reported
        if report.owed(call.peer, now) or said is not None:
            own = b""
            if said is not None:
                report.utilization = said.utilization or report.utilization
                own = said.utilization + said.call
            call.trailing.append(report.trailer(now, own))
        report.load.end(now, None if code == 1 else code not in FAILURES)


def build(scope: Scope) -> Stage | None:
    if scope.policy.load_report is None:
        return None

    def make() -> Report:
        return Report(Load(now=scope.clock()), scope.clock, scope.cpu)

    return LoadReport(scope.state.keep(("load_report",), make))


def describe(scope: Scope) -> str:  # noqa: ARG001 - every slot has one
    return (
        f"ORCA: CPU in cores, calls and errors per second, calls in flight, measured every {_REFRESH:g}s, "
        "and what handlers say"
    )
