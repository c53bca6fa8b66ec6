"""One stage or a whole chain driven by hand: a clock that moves when told, and the engine's effects answered in turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mesh.call import Arity, Attempt, Call, Outcome, Side, Sleep
from mesh.contract import Retry, Stage
from mesh.engine import Chain, run
from mesh.policy.policy import Policy
from mesh.stage.scope import Scope, State
from mesh.telemetry.telemetry import Telemetry

METHOD = "/shop.v1.Shop/Get"


class Clock:
    """A clock that moves when it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def scope(
    policy: Policy,
    clock: Clock,
    *,
    side: Side = Side.CLIENT,
    arity: Arity = Arity.UNARY_UNARY,
    method: str = METHOD,
    target: str = "shop",
    state: State | None = None,
    cpu: Callable[[], float] = lambda: 0.0,
) -> Scope:
    return Scope(method, arity, side, target, policy, Telemetry(), state or State(), clock, cpu)


class Driver:
    """Runs calls through stages: each attempt is answered by `answer`, each wait moves the clock."""

    def __init__(
        self,
        clock: Clock,
        *,
        per_call: tuple[Stage, ...] = (),
        per_attempt: tuple[Stage, ...] = (),
        retry: Retry | None = None,
        random: Callable[[], float] = lambda: 0.5,
    ) -> None:
        self.clock = clock
        self.failures: list[Exception] = []
        self.chain = Chain(
            per_call, per_attempt, retry or Retry(), lambda stage, error: self.failures.append(error)
        )
        self.random = random
        self.attempts: list[Attempt] = []
        self.waits: list[float] = []

    def begin(self, call: Call | None = None) -> Any:
        """Start a call; its flow waits for the outcome of its first attempt."""
        flow = run(self.chain, call or Call(METHOD, Arity.UNARY_UNARY), self.clock, self.random)
        self.attempts.append(next(flow))
        return flow

    def call(
        self, answer: Callable[[int], Outcome], call: Call | None = None, seconds: float = 0.0
    ) -> Outcome:
        """Make one call; attempt n takes `seconds` and ends as `answer(n)`."""
        flow = run(self.chain, call or Call(METHOD, Arity.UNARY_UNARY), self.clock, self.random)
        try:
            effect = next(flow)
            while True:
                if type(effect) is Sleep:
                    self.waits.append(effect.seconds)
                    self.clock.now += effect.seconds
                    effect = flow.send(None)
                else:
                    assert type(effect) is Attempt
                    self.attempts.append(effect)
                    self.clock.now += seconds
                    effect = flow.send(answer(effect.number))
        except StopIteration as stop:
            return stop.value
        finally:
            assert not self.failures
