"""What the access log says of each call: one line of JSON when it has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mesh.call import CODE_NAMES, Call, Outcome
from mesh.contract import Stage
from mesh.policy.observe import AccessLogPolicy
from mesh.stage.scope import Scope
from mesh.telemetry.line import Timestamps, quote
from mesh.telemetry.sink import LineSink
from mesh.telemetry.traceparent import TraceContext


class AccessLog(Stage):
    """Writes the line. `time` is when the call ended; members that say nothing are left out."""

    __slots__ = ("_failures_only", "_sink", "_timestamps", "_wall", "_what")

    name = "access_log"

    def __init__(
        self,
        policy: AccessLogPolicy,
        sink: LineSink,
        wall: Callable[[], float],
        *,
        side: str,
        method: str,
        target: str,
    ) -> None:
        self._failures_only = policy.failures_only
        self._sink = sink
        self._wall = wall
        self._what = f'"side":{quote(side)},"method":{quote(method)},"target":{quote(target)}'
        self._timestamps = Timestamps()

    def settle(self, call: Call, ticket: Any, outcome: Outcome, now: float) -> None:  # noqa: ARG002 - the contract's signature
        code = outcome.code
        if code == 0 and self._failures_only:
            return
        line = (
            f'{{"time":"{self._timestamps.render(self._wall())}",{self._what},'
            f'"code":"{CODE_NAMES[code]}","seconds":{now - call.started:.6f},"attempts":{call.attempt}'
        )
        peer = call.peer
        if peer:
            line += f',"peer":{quote(peer)}'
        if outcome.rejected_by:
            line += f',"rejected_by":{quote(outcome.rejected_by)}'
        if code and outcome.details:
            line += f',"details":{quote(outcome.details)}'
        context = call.scratch
        if type(context) is TraceContext:
            line += f',"trace_id":"{context.trace_id}"'
        self._sink.write(line + "}")


def build(scope: Scope) -> Stage | None:
    policy = scope.policy.access_log
    if policy is None:
        return None
    telemetry = scope.telemetry
    return AccessLog(
        policy,
        telemetry.log,
        telemetry.wall,
        side=scope.side.value,
        method=scope.method.lstrip("/"),
        target=scope.target,
    )


def describe(scope: Scope) -> str:
    policy = scope.policy.access_log or AccessLogPolicy()
    return f"one line of JSON for each call{' that fails' if policy.failures_only else ''}"
