"""How busy this server is, told to clients with every answer, so that they can balance by weight."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from mesh.call import Call, Outcome
from mesh.engine import Stage
from mesh.mechanism.load import Load
from mesh.stage.breaker import FAILURES
from mesh.stage.scope import Scope

TRAILER: Final = "endpoint-load-metrics-bin"

_REFRESH: Final = 0.25
"""Seconds a report is sent again before it is measured anew; clients update weights once a second."""

# xds.data.orca.v3.OrcaLoadReport, by hand, since xds-protos overwrites other packages' files:
# `double cpu_utilization = 1;` `double rps_fractional = 6;` `double eps = 7;`
_REPORT: Final = struct.Struct("<BdBdBd")
_CPU, _RPS, _EPS = (number << 3 | 1 for number in (1, 6, 7))


class Report:
    """The current load report of this process, measured at most every `_REFRESH` seconds."""

    __slots__ = ("_busy", "_clock", "_cpu", "_due", "_since", "_text", "load")

    def __init__(self, load: Load, clock: Callable[[], float], cpu: Callable[[], float]) -> None:
        self.load = load
        self._clock = clock
        self._cpu = cpu
        self._since = clock()
        self._busy = cpu()
        self._due = self._since + _REFRESH
        self._text = encode(cpu=0.0, rps=0.0, eps=0.0)

    def trailer(self, now: float) -> tuple[str, bytes]:
        if now >= self._due:
            busy, elapsed = self._cpu(), now - self._since
            rps, eps = self.load.rates(now)
            self._text = encode(cpu=(busy - self._busy) / elapsed, rps=rps, eps=eps)
            self._busy, self._since, self._due = busy, now, now + _REFRESH
        return TRAILER, self._text


def encode(*, cpu: float, rps: float, eps: float) -> bytes:
    """Return an OrcaLoadReport on the wire. CPU is in cores: an asyncio server is full at 1.0."""
    return _REPORT.pack(_CPU, cpu, _RPS, rps, _EPS, eps)


class LoadReport(Stage):
    """Counts calls and adds the report to each answer's trailing metadata."""

    __slots__ = ("_report",)

    name = "load_report"

    def __init__(self, report: Report) -> None:
        self._report = report

    def admit(self, call: Call, now: float) -> Outcome | object:
        report = self._report
        report.load.begin(now)
        call.trailing.append(report.trailer(now))
        return None

    def settle(self, call: Call, ticket: Any, outcome: Outcome, now: float) -> None:  # noqa: ARG002 - the contract's signature
        code = outcome.code
        self._report.load.end(now, None if code == 1 else code not in FAILURES)


def build(scope: Scope) -> Stage | None:
    if scope.policy.load_report is None:
        return None

    def make() -> Report:
        return Report(Load(now=scope.clock()), scope.clock, scope.cpu)

    return LoadReport(scope.state.keep(("load_report",), make))


def describe(scope: Scope) -> str:  # noqa: ARG001 - every slot has one
    return f"ORCA: CPU in cores, calls and errors per second, measured every {_REFRESH:g}s"
