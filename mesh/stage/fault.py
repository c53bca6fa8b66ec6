"""Which attempts are delayed, or fail before the wire, on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mesh.call import CODE_NAMES, Call, Metadata, Outcome
from mesh.contract import Stage
from mesh.mechanism import fault
from mesh.mechanism.header_match import HeaderMatcher
from mesh.policy.fault import FaultPolicy
from mesh.stage.scope import Scope
from mesh.telemetry.aggregate import Number
from mesh.telemetry.instruments import CLIENT_FAULTS, KIND, METHOD, TARGET

BY_REQUEST: Final = "mesh-fault"
"""The metadata by which a request asks for a fault."""

_CODES: Final = {name: number for number, name in enumerate(CODE_NAMES) if number}


class Faults(Stage):
    """Injects faults below everything that reacts to them: to retries and circuits they are like the wire's own."""

    __slots__ = ("_aborted", "_delayed", "_headers", "_policy", "_random")

    name = "fault"

    def __init__(
        self, policy: FaultPolicy, random: Callable[[], float], *, delayed: Number, aborted: Number
    ) -> None:
        self._policy = policy
        self._headers = tuple(
            HeaderMatcher(name=one.name, kind=one.kind, value=one.value) for one in policy.headers
        )
        self._random = random
        self._delayed = delayed
        self._aborted = aborted

    def admit(self, call: Call, now: float) -> Outcome | object:  # noqa: ARG002 - the contract's signature
        policy = self._policy
        if not all(header.matches(call.metadata) for header in self._headers):
            return None
        asked = _asked(call.metadata) if policy.by_request else None
        chosen = (
            fault.choose(
                delay=policy.delay,
                delay_share=policy.delay_share,
                code=policy.code,
                abort_share=policy.abort_share,
                u=self._random(),
                v=self._random(),
            )
            if asked is None
            else fault.parse(asked, _CODES)
        )
        if isinstance(chosen, str):
            return Outcome(3, f"{BY_REQUEST}: {chosen}", rejected_by=self.name)
        if chosen.delay:
            call.delay = chosen.delay
            self._delayed.value += 1
        if not chosen.code:
            return None
        self._aborted.value += 1
        details = policy.details if asked is None else f"fault injected by {BY_REQUEST}"
        # Not rejected_by: retries and circuits take no notice of what a stage refused, and a fault is there to be noticed.
        return Outcome(chosen.code, details, answered_by=self.name)


def _asked(metadata: Metadata) -> str | None:
    return next((str(value) for name, value in metadata if name == BY_REQUEST), None)


def build(scope: Scope) -> Stage | None:
    policy = scope.policy.fault
    if policy is None:
        return None

    def counter(kind: str) -> Number:
        if scope.policy.metrics is None:
            return Number()
        where = ((METHOD, scope.method.lstrip("/")), (TARGET, scope.target), (KIND, kind))
        return scope.telemetry.aggregates.number(CLIENT_FAULTS, where)

    return Faults(policy, scope.random, delayed=counter("delay"), aborted=counter("abort"))


def describe(scope: Scope) -> str:
    policy = scope.policy.fault
    if policy is None:
        return ""
    parts = []
    if policy.delay_share:
        parts.append(f"{policy.delay_share * 100:.4g}% of attempts wait {policy.delay:g}s")
    if policy.abort_share:
        parts.append(f"{policy.abort_share * 100:.4g}% of attempts fail with {CODE_NAMES[policy.code]}")
    if policy.by_request:
        parts.append(f"what a request asks for in {BY_REQUEST}")
    text = "; ".join(parts)
    return f"{text}; where {' and '.join(map(str, policy.headers))}" if policy.headers else text
