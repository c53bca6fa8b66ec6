"""The one control flow of a call: admit, attempt, maybe again, settle exactly once.

Theory of operation
-------------------
`run` is a generator. It decides; a driver acts. What it yields are effects (`Attempt`, `Sleep`, `COMMIT`), what it
is sent back is how they went. It knows no event loop, no thread, no grpc, so the aio and the sync driver share it and
tests drive it by hand.

    per call    admit: trace, metrics, deadline ...          settled once, when the call is over
                  |
    between     retry: again? after how long?
                  |
    per attempt admit: breaker, concurrency ...              settled once for each attempt
                  |
                Attempt -> Outcome, or OPEN at the first message of a response stream
                  |
                COMMIT  -> the rest of the stream, too late to retry

Rules:
- A stage whose `admit` gave a ticket is settled exactly once, in reverse order. That is in `finally`, and the outcome
  starts as ABANDONED, so a driver that is cancelled, closed or garbage-collected settles every stage as CANCELLED:
  the language guarantees it, not the care of each feature's author.
- A rejection is a value. Under overload rejecting *is* the hot path.
- A stage that raises in `admit` fails the call (INTERNAL); one that raises in `settle` is reported through
  `Chain.broken` and the others still settle.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final, NamedTuple

from mesh.call import ABANDONED, COMMIT, Attempt, Call, Effect, Outcome, Sleep

Clock = Callable[[], float]
"""Monotonic seconds."""
Random = Callable[[], float]
"""Uniform in [0, 1)."""
Flow = Generator[Effect, Any, Outcome]

EXPIRED: Final = Outcome(4, "the deadline passed before the call ended")


class Stage:
    """One feature of the mesh, as seen by one call. Override what you need."""

    __slots__ = ()

    name = "stage"
    """What explain, metrics and rejections call it."""

    def admit(self, call: Call, now: float) -> Outcome | object:  # noqa: ARG002 - the contract's signature
        """Return an `Outcome` to reject the call; anything else is the ticket handed to `settle`."""
        return None

    def settle(self, call: Call, ticket: Any, outcome: Outcome, now: float) -> None:
        """Learn how it ended. Called exactly once for every call admitted."""


class Retry:
    """The decision between two attempts. This one never retries."""

    __slots__ = ()

    def begin(self, call: Call, now: float) -> None:
        """Note that a call was admitted: calls earn the budget that retries spend."""

    def delay(self, call: Call, outcome: Outcome, now: float, random: Random) -> float | None:  # noqa: ARG002 - as above
        """Return the seconds to wait before the next attempt; None when the outcome stands."""
        return None


def _ignore(stage: Stage, error: Exception) -> None:
    """Do nothing about a stage that raised."""


class Chain(NamedTuple):
    """The ordered stages of one method, as the engine runs them."""

    per_call: tuple[Stage, ...] = ()
    per_attempt: tuple[Stage, ...] = ()
    retry: Retry = Retry()
    broken: Callable[[Stage, Exception], None] = _ignore
    """Told of every stage that raised."""


def run(chain: Chain, call: Call, clock: Clock, random: Random) -> Flow:
    """Run one call through its chain; the generator's return value is the call's outcome."""
    now = call.started = clock()
    if call.timeout is not None:
        call.deadline = now + call.timeout
    tickets: list[tuple[Stage, object]] = []
    outcome = ABANDONED
    try:
        rejection = _admit(chain, chain.per_call, call, now, tickets)
        if rejection is not None:
            outcome = rejection
            return outcome
        retry = chain.retry
        retry.begin(call, now)
        while True:
            call.attempt += 1
            timeout: float | None = None
            if call.deadline is not None:
                timeout = call.deadline - now
                if timeout <= 0:
                    outcome = EXPIRED
                    return outcome
            attempt: list[tuple[Stage, object]] = []
            try:
                rejection = _admit(chain, chain.per_attempt, call, now, attempt)
                if rejection is None:
                    outcome = yield Attempt(call.attempt, timeout)
                    if outcome.open:
                        outcome = ABANDONED
                        outcome = yield COMMIT
                else:
                    outcome = rejection
            finally:
                now = clock()
                _settle(chain, call, attempt, outcome, now)
            if outcome.code == 0 or outcome.committed:
                return outcome
            delay = retry.delay(call, outcome, now, random)
            if delay is None:
                return outcome
            outcome = ABANDONED  # what a driver closed while waiting, or in the next attempt, leaves behind
            yield Sleep(delay)
            now = clock()
    finally:
        _settle(chain, call, tickets, outcome, clock())


def _admit(
    chain: Chain, stages: tuple[Stage, ...], call: Call, now: float, tickets: list[tuple[Stage, object]]
) -> Outcome | None:
    for stage in stages:
        try:
            verdict = stage.admit(call, now)
        except Exception as error:  # noqa: BLE001 - any error of a user's stage must fail the call, not escape it
            chain.broken(stage, error)
            return Outcome(13, f"stage {stage.name} failed", error=error, rejected_by=stage.name)
        if type(verdict) is Outcome:
            return verdict
        tickets.append((stage, verdict))
    return None


def _settle(
    chain: Chain, call: Call, tickets: list[tuple[Stage, object]], outcome: Outcome, now: float
) -> None:
    if outcome is ABANDONED and call.deadline is not None and now >= call.deadline:
        outcome = EXPIRED
    for stage, ticket in reversed(tickets):
        try:
            stage.settle(call, ticket, outcome, now)
        except Exception as error:  # noqa: BLE001 - the stages below must still settle
            chain.broken(stage, error)
