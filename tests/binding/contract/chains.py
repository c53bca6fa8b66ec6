"""The chains of the contract: one recorder for each scope, and whatever a test adds."""

from __future__ import annotations

import time
from typing import Any

from mesh.call import Arity, Call, Direction, Outcome
from mesh.contract import Fallback, Hedge, Retry, Stage
from mesh.engine import Chain


class Recorder(Stage):
    """Remembers every admission and settlement it saw."""

    name = "recorder"

    def __init__(self, rejection: Outcome | None = None) -> None:
        self.rejection = rejection
        self.admitted: list[Call] = []
        self.settled: list[Outcome] = []

    def admit(self, call: Call, now: float) -> Outcome | object:
        if self.rejection is not None:
            return self.rejection
        self.admitted.append(call)
        return call

    def settle(self, call: Call, ticket: Any, outcome: Outcome, now: float) -> None:
        assert ticket is call
        self.settled.append(outcome)

    @property
    def codes(self) -> list[int]:
        return [outcome.code for outcome in self.settled]


class Listener(Stage):
    """Remembers every message, and has something against one of them."""

    name = "listener"

    def __init__(self, against: bytes = b"", verdict: Outcome | None = None) -> None:
        self.against = against
        self.verdict = verdict or Outcome(9, "not this one", rejected_by=self.name)
        self.heard: list[tuple[str, bytes]] = []

    def message(
        self, call: Call, ticket: Any, message: Any, direction: Direction, now: float
    ) -> Outcome | None:
        self.heard.append((direction.value, message))
        return self.verdict if message == self.against else None


class Again(Retry):
    """Retries at once, or after a while, as long as attempts are left."""

    def __init__(self, attempts: int, seconds: float = 0.0) -> None:
        self.attempts = attempts
        self.seconds = seconds

    def delay(self, call: Call, outcome: Outcome, now: float, random: Any) -> float | None:
        return self.seconds if call.attempt < self.attempts and call.replayable else None


class Beside(Hedge):
    """Starts another attempt after a while, up to so many at once; any failure but UNAVAILABLE decides."""

    def __init__(self, attempts: int, seconds: float) -> None:
        self.attempts = attempts
        self.seconds = seconds

    def wait(self, call: Call, now: float) -> float | None:
        return self.seconds if call.attempt < self.attempts else None

    def try_another(self, call: Call, now: float) -> bool:
        return call.attempt < self.attempts

    def retry(self, call: Call, outcome: Outcome, now: float) -> float | None:
        return 0.0 if call.attempt < self.attempts else None

    def decides(self, outcome: Outcome) -> bool:
        return outcome.code != 14


class Instead(Fallback):
    """Answers every failure."""

    def __init__(self, answer: Outcome | str) -> None:
        self.given = answer

    def answer(self, call: Call, outcome: Outcome, now: float) -> Outcome | str | None:
        return self.given


class Chains:
    """One chain for every method, as `mesh.chain.Chains` would hand it out."""

    def __init__(self) -> None:
        self.per_call, self.per_attempt = Recorder(), Recorder()
        self.extra: tuple[Stage, ...] = ()
        self.retry: Retry = Retry()
        self.hedge: Hedge | None = None
        self.fallback: Fallback | None = None
        self.broken: list[tuple[Stage, Exception]] = []
        self.clock = time.monotonic
        self.random = lambda: 0.5
        self.target = "contract"

    def find(self, method: str, arity: Arity) -> Chain:
        return Chain(
            (self.per_call, *self.extra),
            (self.per_attempt,),
            self.retry,
            lambda stage, error: self.broken.append((stage, error)),
            hedge=self.hedge,
            fallback=self.fallback,
        )
