"""Calls driven through stages by hand, with every ending a call can have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mesh.call import COMMIT, OPEN, Arity, Attempt, Call, Outcome, Side
from mesh.contract import Retry, Stage
from mesh.engine import Chain, run
from mesh.policy.policy import Policy
from mesh.stage.scope import Scope, State
from mesh.telemetry.telemetry import Telemetry

METHOD = "/shop.v1.Catalog/GetProduct"


class Clock:
    """A clock that moves when it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Refuse(Stage):
    name = "refuse"

    def admit(self, call: Call, now: float) -> Outcome | object:
        return Outcome(8, "too many", rejected_by=self.name)


class Again(Retry):
    """Retries UNAVAILABLE at once."""

    def delay(self, call, outcome, now, random):
        return 0.5 if outcome.code == 14 else None


def scope(policy: Policy, telemetry: Telemetry, side: Side = Side.CLIENT, method: str = METHOD) -> Scope:
    return Scope(method, Arity.UNARY_UNARY, side, "catalog", policy, telemetry, State())


def call(**options: Any) -> Call:
    return Call(METHOD, Arity.UNARY_UNARY, **options)


def drive(
    per_call: Sequence[Stage] = (),
    per_attempt: Sequence[Stage] = (),
    *,
    script: Sequence[Outcome] = (Outcome(0),),
    seconds: float = 0.25,
    close_after: int | None = None,
    one: Call | None = None,
    on_attempt: Callable[[], None] = lambda: None,
    clock: Clock | None = None,
) -> Outcome | None:
    """Run a call: each answer takes `seconds`; after `close_after` answers the driver goes away."""
    clock = clock or Clock()
    failures: list[Exception] = []
    chain = Chain(tuple(per_call), tuple(per_attempt), Again(), lambda stage, error: failures.append(error))
    flow = run(chain, one or call(), clock, lambda: 0.5)
    answers = iter(script)
    given = 0
    try:
        effect = next(flow)
        while True:
            clock.now += seconds
            if given == close_after:
                flow.close()
                return None
            if type(effect) is Attempt or effect is COMMIT:
                on_attempt()
                given += 1
                effect = flow.send(next(answers))
            else:
                effect = flow.send(None)
    except StopIteration as stop:
        return stop.value
    finally:
        flow.close()
        assert not failures, failures


ENDINGS: dict[str, tuple[dict[str, Any], str, int]] = {
    "ok": ({}, "OK", 1),
    "error": ({"script": [Outcome(5, "no such product")]}, "NOT_FOUND", 1),
    "retried": ({"script": [Outcome(14), Outcome(0)]}, "OK", 2),
    "cancelled on the wire": ({"close_after": 0}, "CANCELLED", 1),
    "abandoned while waiting": ({"script": [Outcome(14)], "close_after": 1}, "CANCELLED", 1),
    "stream": ({"script": [OPEN, Outcome(0, committed=True)]}, "OK", 1),
    "stream abandoned half-read": ({"script": [OPEN], "close_after": 1}, "CANCELLED", 1),
    "expired": ({"timeout": 0.1, "close_after": 0}, "DEADLINE_EXCEEDED", 1),
    "rejected per call": ({"refused": "call"}, "RESOURCE_EXHAUSTED", 0),
    "rejected per attempt": ({"refused": "attempt"}, "RESOURCE_EXHAUSTED", 0),
}
"""Every way a call can end: how to drive it, its status, and how many attempts go out."""


def end(
    name: str, per_call: Sequence[Stage] = (), per_attempt: Sequence[Stage] = (), **options: Any
) -> Outcome | None:
    """Drive one call to the ending of this name."""
    how = {**ENDINGS[name][0], **options}
    refused, timeout = how.pop("refused", ""), how.pop("timeout", None)
    if refused == "call":
        per_call = [*per_call, Refuse()]
    if refused == "attempt":
        per_attempt = [Refuse(), *per_attempt]
    how.setdefault("one", call(timeout=timeout))
    return drive(per_call, per_attempt, **how)
