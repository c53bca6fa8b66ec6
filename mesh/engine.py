"""The one control flow of a call: admit, attempt, maybe again, settle exactly once.

Theory of operation
-------------------
`run` is a generator. It decides; a driver acts. What it yields are effects (`Attempt`, `Sleep`, `COMMIT`), what it
is sent back is how they went. It knows no event loop, no thread, no grpc, so the aio and the sync driver share it and
tests drive it by hand.

    per call    admit: trace, metrics, deadline ...          settled once, when the call is over
                  |
    between     retry: again? after how long?                or hedge: another one beside it?
                  |
    per attempt admit: breaker, concurrency ...              settled once for each attempt
                  |
                Attempt -> Outcome, or OPEN at the first message of a response stream
                  |
                COMMIT  -> the rest of the stream, too late to retry
                  |
    at the end  fallback: another answer in the place of a failure?

Rules:
- A stage whose `admit` gave a ticket is settled exactly once, in reverse order. That is in `finally`, and the outcome
  starts as ABANDONED, so a driver that is cancelled, closed or garbage-collected settles every stage as CANCELLED:
  the language guarantees it, not the care of each feature's author.
- A rejection is a value. Under overload rejecting *is* the hot path.
- A stage that raises in `admit` or `message` fails the call (INTERNAL); one that raises in `settle` is reported through
  `Chain.broken` and the others still settle.
- What a stage does not override is not called: the steps of a chain are found when it is made.
- A hedged call has several attempts on the wire at once (`Race`). The first answer that decides is the call's
  (`Choose`); the attempts that lost settle as LOST, which is CANCELLED: it says nothing about their target.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, TypeAlias

from mesh.call import (
    ABANDONED,
    COMMIT,
    Attempt,
    Call,
    Choose,
    Direction,
    Effect,
    Outcome,
    Race,
    Sleep,
)
from mesh.contract import Clock, Fallback, Hedge, Random, Retry, Stage

Flow = Generator[Effect, Any, Outcome]

EXPIRED: Final = Outcome(4, "the deadline passed before the call ended")

LOST: Final = Outcome(1, "another attempt of the call answered first")


def _ignore(stage: Stage, error: Exception) -> None:
    """Do nothing about a stage that raised."""


_Step: TypeAlias = tuple[
    Callable[[Call, float], object] | None, Callable[[Call, Any, Outcome, float], None] | None, Stage
]
"""What to call to admit and to settle, if anything, and whose it is."""
_Ticket: TypeAlias = tuple[Callable[[Call, Any, Outcome, float], None], object, Stage]


class Chain:
    """The ordered stages of one method, as the engine runs them. Immutable."""

    __slots__ = (
        "attempt_steps",
        "broken",
        "call_steps",
        "fallback",
        "hedge",
        "listening",
        "listens",
        "per_attempt",
        "per_call",
        "retry",
    )

    def __init__(
        self,
        per_call: Sequence[Stage] = (),
        per_attempt: Sequence[Stage] = (),
        retry: Retry | None = None,
        broken: Callable[[Stage, Exception], None] = _ignore,
        *,
        hedge: Hedge | None = None,
        fallback: Fallback | None = None,
    ) -> None:
        """`broken` is told of every stage that raised. With a `hedge` there are no retries."""
        self.per_call = tuple(per_call)
        self.per_attempt = tuple(per_attempt)
        self.retry = retry
        self.broken = broken
        self.hedge = hedge
        self.fallback = fallback
        self.call_steps: tuple[_Step, ...] = tuple(map(_step, self.per_call))
        self.attempt_steps: tuple[_Step, ...] = tuple(map(_step, self.per_attempt))
        self.listening = tuple(stage for stage in self.per_call if _overrides(stage, "message"))
        """The stages that look at messages."""
        self.listens = bool(self.listening)
        """Whether `hear` must be asked about the messages of a call."""

    def __repr__(self) -> str:
        names = ", ".join(stage.name for stage in (*self.per_call, *self.per_attempt))
        return f"<Chain {names}>"


def _overrides(stage: Stage, name: str) -> bool:
    return getattr(getattr(stage, name), "__func__", None) is not getattr(Stage, name)


def _step(stage: Stage) -> _Step:
    # Whoever looks at messages needs its ticket kept, whether or not it settles.
    kept = _overrides(stage, "settle") or _overrides(stage, "message")
    return stage.admit if _overrides(stage, "admit") else None, stage.settle if kept else None, stage


def run(chain: Chain, call: Call, clock: Clock, random: Random) -> Flow:
    """Run one call through its chain; the generator's return value is the call's outcome."""
    now = call.started = clock()
    if call.timeout is not None:
        call.deadline = now + call.timeout
    tickets: list[_Ticket] = []
    outcome = ABANDONED
    over: float | None = None  # when the call ended, if the clock was just asked
    try:
        rejection = _admit(chain, chain.call_steps, call, now, tickets)
        if rejection is not None:
            outcome, over = rejection, now
            return outcome
        listening = chain.listening
        if listening:
            call.listeners = [(stage, ticket) for _, ticket, stage in tickets if stage in listening]
        if chain.hedge is not None and chain.hedge.covers(call):
            outcome = yield from _race(chain, chain.hedge, call, clock)
        else:
            retry = chain.retry
            if retry is not None:
                retry.begin(call, now)
            while True:
                call.attempt += 1
                # Cutting short what cannot be sent again would only fail it.
                timeout = None if retry is None or not call.replayable else retry.attempt_timeout
                if call.deadline is not None:
                    left = call.deadline - now
                    if left <= call.least:
                        outcome = EXPIRED
                        break
                    if timeout is None or left < timeout:
                        timeout = left
                attempt: list[_Ticket] = []
                try:
                    rejection = _admit(chain, chain.attempt_steps, call, now, attempt)
                    if call.delay:
                        timeout = yield from _delay(call, timeout, clock)
                        rejection = EXPIRED if timeout == 0.0 else rejection
                    if rejection is None:
                        outcome = yield Attempt(call.attempt, timeout)
                        if outcome.open:
                            call.opened = clock()
                            outcome = ABANDONED
                            outcome = yield COMMIT
                    else:
                        outcome = rejection
                finally:
                    over = now = clock()
                    if attempt:
                        _settle(chain, call, attempt, outcome, now)
                if outcome.code == 0 or outcome.committed or retry is None:
                    break
                delay = retry.delay(call, outcome, now, random)
                if delay is None:
                    break
                # What a driver closed while waiting, or in the next attempt, leaves behind.
                outcome, over = ABANDONED, None
                yield Sleep(delay)
                now = clock()
        if outcome.code and chain.fallback is not None and not outcome.committed:
            failed, outcome, over = outcome, ABANDONED, None
            outcome = yield from _fall_back(chain.fallback, call, failed, clock)
        return outcome
    finally:
        if tickets:
            _settle(chain, call, tickets, outcome, clock() if over is None else over)


def hear(chain: Chain, call: Call, message: Any, direction: Direction, now: float) -> Outcome | None:
    """Show one message to the stages that listen; an outcome ends the call. Only for chains that `listens`."""
    for stage, ticket in call.listeners:
        try:
            verdict: Outcome | None = stage.message(call, ticket, message, direction, now)
        except Exception as error:  # noqa: BLE001 - as in _admit
            return _broke(chain, stage, error)
        if verdict is not None:
            return verdict
    return None


def _race(chain: Chain, hedge: Hedge, call: Call, clock: Clock) -> Generator[Effect, Any, Outcome]:
    """Run the attempts of a hedged call; return the outcome of the one that decided."""
    now = clock()
    hedge.begin(call, now)
    running: dict[int, tuple[float, list[_Ticket]]] = {}
    outcome: Outcome = ABANDONED
    losers = ABANDONED
    wait: float | None = None
    starting = True
    raced = False  # an attempt has gone out: only then is there something to choose from
    try:
        while True:
            start: Attempt | None = None
            ended: tuple[int, Outcome] | None = None
            if starting:
                starting = False
                timeout = None if call.deadline is None else call.deadline - now
                if timeout is not None and timeout <= call.least:
                    if not running:
                        outcome = EXPIRED if outcome is ABANDONED else outcome
                        return outcome
                    wait = None
                else:
                    call.attempt += 1
                    tickets: list[_Ticket] = []
                    running[call.attempt] = now, tickets
                    rejection = _admit(chain, chain.attempt_steps, call, now, tickets)
                    if call.delay:
                        # The other attempts go on meanwhile; what they answer is heard after the delay.
                        timeout = yield from _delay(call, timeout, clock)
                        rejection = EXPIRED if timeout == 0.0 else rejection
                        now = clock()
                    if rejection is None:
                        start = Attempt(call.attempt, timeout)
                        wait = hedge.wait(call, now)
                    else:
                        ended = call.attempt, rejection
                        wait = None
            if ended is None:
                raced = True
                ended = yield Race(start, wait)
                now = clock()
            if ended is None:
                starting = hedge.try_another(call, now)
                wait = None
                continue
            number, outcome = ended
            if outcome.open:
                call.opened = now
                losers = LOST
                began, tickets = running.pop(number)
                hedge.observe(number, now - began, outcome)
                outcome = ABANDONED
                try:
                    yield Choose(number)
                    _settle_all(chain, hedge, call, running, LOST, now)
                    outcome = yield COMMIT
                finally:
                    _settle(chain, call, tickets, outcome, clock())
                return outcome
            began, tickets = running.pop(number)
            if not outcome.rejected_by:
                hedge.observe(number, now - began, outcome)
            _settle(chain, call, tickets, outcome, now)
            if outcome.rejected_by:
                # What refused this attempt would refuse the next one too; those that run may still answer.
                if not running:
                    return outcome
                continue
            if outcome.code == 0 or hedge.decides(outcome):
                losers = LOST
                if raced:
                    yield Choose(number)
                return outcome
            wait = hedge.retry(call, outcome, now)
            if wait and not running:
                yield Sleep(wait)
                now, wait = clock(), 0.0
            if wait == 0.0:
                starting, wait = hedge.try_another(call, now), None
            if not starting and not running:
                if raced:
                    yield Choose(number)
                return outcome
    finally:
        _settle_all(chain, hedge, call, running, losers, clock())


def _delay(call: Call, timeout: float | None, clock: Clock) -> Generator[Effect, Any, float | None]:
    """Wait as long as a stage asked for, at most until the deadline; return what is left for the attempt.

    That is 0.0 when the deadline came first, though a timer may wake a little early: an attempt could still succeed then.
    """
    seconds, call.delay = call.delay, 0.0
    if call.deadline is None:
        yield Sleep(seconds)
        return timeout
    left = call.deadline - clock()
    yield Sleep(max(0.0, min(seconds, left)))
    if seconds >= left:
        return 0.0
    left = max(0.0, call.deadline - clock())
    return left if timeout is None else min(timeout, left)


def _fall_back(
    fallback: Fallback, call: Call, failed: Outcome, clock: Clock
) -> Generator[Effect, Any, Outcome]:
    now = clock()
    answer = fallback.answer(call, failed, now)
    if answer is None:
        return failed
    if type(answer) is Outcome:
        return answer
    remaining = call.remaining(now)
    if remaining is not None and remaining <= call.least:
        return failed
    call.attempt += 1
    outcome: Outcome = yield Attempt(call.attempt, remaining, str(answer))
    if outcome.open:
        outcome = yield COMMIT
        return outcome
    return failed if outcome.code else outcome


def _admit(
    chain: Chain, steps: tuple[_Step, ...], call: Call, now: float, tickets: list[_Ticket]
) -> Outcome | None:
    for admit, settle, stage in steps:
        verdict: object = None
        if admit is not None:
            try:
                verdict = admit(call, now)
            except Exception as error:  # noqa: BLE001 - any error of a user's stage must fail the call, not escape it
                return _broke(chain, stage, error)
            if type(verdict) is Outcome:
                return verdict
        if settle is not None:
            tickets.append((settle, verdict, stage))
    return None


def _broke(chain: Chain, stage: Stage, error: Exception) -> Outcome:
    chain.broken(stage, error)
    return Outcome(13, f"stage {stage.name} failed", error=error, rejected_by=stage.name)


def _settle(chain: Chain, call: Call, tickets: list[_Ticket], outcome: Outcome, now: float) -> None:
    if outcome is ABANDONED and call.deadline is not None and now >= call.deadline:
        outcome = EXPIRED
    for settle, ticket, stage in reversed(tickets):
        try:
            settle(call, ticket, outcome, now)
        except Exception as error:  # noqa: BLE001 - the stages below must still settle
            chain.broken(stage, error)


def _settle_all(
    chain: Chain,
    hedge: Hedge,
    call: Call,
    running: dict[int, tuple[float, list[_Ticket]]],
    outcome: Outcome,
    now: float,
) -> None:
    """Settle every attempt that still runs."""
    while running:
        number, (began, tickets) = running.popitem()
        hedge.observe(number, now - began, outcome)
        _settle(chain, call, tickets, outcome, now)
