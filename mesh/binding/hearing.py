"""What the stages of one call hear of its messages, and how that ends it: neither aio nor sync, so that both use it.

A call has an `Ear` if its chain `listens`, and none otherwise. Messages of streams pass it where they are sent and
received. A message that is alone on its side passes it in `listen`, which stands between the flow and its driver:

    binding -- each message of a stream --> Ear --> engine.hear --> stages
    driver  <-- effects --  listen <-- effects --  engine.run
            -- outcomes -->        -- outcomes, or the verdict -->

A stage's verdict is the call's outcome: it is not tried again, and no fallback answers in its place. In a stream it comes
while the driver waits: whoever hears it calls `stop`, which cancels the wire and sends the flow anything at all; `listen`
makes that the verdict.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator
from typing import Any, Final, Protocol

from mesh import engine
from mesh.call import COMMIT, Attempt, Call, Choose, Direction, Effect, Outcome, Race
from mesh.chain import Chains
from mesh.contract import Clock
from mesh.engine import Chain, Flow
from mesh.stage.stream_limit import StreamWatch

_SENT: Final = Direction.SENT
_RECEIVED: Final = Direction.RECEIVED


class Alarm(Protocol):
    """A timer that is set."""

    def cancel(self) -> object: ...


class Ear:
    """The listening side of one call, and the verdict that ended it, if one did."""

    __slots__ = ("_chain", "_clock", "_requests", "alarm", "call", "stop", "verdict")

    def __init__(self, chain: Chain, call: Call, clock: Clock) -> None:
        self._chain = chain
        self._clock = clock
        self._requests = 0
        self.call = call
        self.verdict: Outcome | None = None
        self.stop: Callable[[], None] = _ignore
        """Ends the call with the verdict. Not for `listen`, inside which it would advance the flow that is advancing."""
        self.alarm: Alarm | None = None
        """Wakes whoever asks `look`; cancelled when the flow ends."""

    def sent(self, message: Any) -> Outcome | None:
        """Let the stages hear a message before it is sent; an outcome forbids it and is the call's."""
        return self._hear(message, _SENT)

    def received(self, message: Any) -> Outcome | None:
        """Let the stages hear a message before the application does; an outcome forbids it and is the call's."""
        return self._hear(message, _RECEIVED)

    def request(self, number: int, message: Any) -> Outcome | None:
        """Let the stages hear a stream's request of this number, from 0, as `sent` does: once for all attempts."""
        if number < self._requests:
            return self.verdict
        self._requests = number + 1
        return self._hear(message, _SENT)

    def _hear(self, message: Any, direction: Direction) -> Outcome | None:
        if self.verdict is None:
            self._judge(engine.hear(self._chain, self.call, message, direction, self._clock()))
        return self.verdict

    def _judge(self, verdict: Outcome | None) -> None:
        # Committed, whatever the caller has seen: another attempt would be refused as this one is.
        if verdict is not None:
            self.verdict = verdict._replace(committed=True, rejected_by=verdict.rejected_by or "message")

    def look(self) -> float | None:
        """Let time pass judgement; return the seconds until the next look, None when none is needed (any more)."""
        now, soonest = self._clock(), float("inf")
        for _, ticket in self.call.listeners:
            if self.verdict is None and type(ticket) is StreamWatch:
                self._judge(ticket.look(now))
                soonest = min(soonest, ticket.due)
        return None if self.verdict is not None or soonest == float("inf") else max(0.0, soonest - now)

    def __repr__(self) -> str:
        return f"<Ear {self.call.method} {self.verdict}>"


def _ignore() -> None:
    """Do nothing: there is no wire yet."""


def begin(chains: Chains, call: Call, request: Any) -> tuple[Chain, Flow, Ear | None]:
    """Return a client call's chain and its flow, of which nothing runs yet; where the chain `listens`, an ear for its streams."""
    chain = chains.find(call.method, call.arity)
    flow = engine.run(chain, call, chains.clock, chains.random)
    return (chain, *heard(flow, chain, call, chains.clock, request)) if chain.listens else (chain, flow, None)


def heard(flow: Flow, chain: Chain, call: Call, clock: Clock, request: Any) -> tuple[Flow, Ear]:
    """Return a client's flow with its lone messages heard, and the ear for its streams; only for chains that `listens`."""
    ear = Ear(chain, call, clock)
    return listen(flow, ear, request, client=True), ear


def listen(flow: Flow, ear: Ear, request: Any, *, client: bool) -> Flow:
    """Return the flow of a call with its lone messages heard; `request` is ignored where requests are a stream.

    A request is heard once the call is admitted, before anything goes out or a handler is entered. A response is heard
    when it answers an attempt: its `Outcome.value` must be the message.
    """
    arity = ear.call.arity
    answered = None if arity.response_streams else ear.received if client else ear.sent
    out = False
    try:
        effect = next(flow)
        if not arity.request_streams:
            (ear.sent if client else ear.received)(request)
        while ear.verdict is None:
            out = True
            answer = yield effect
            if answered is not None and answer is not None and ear.verdict is None:
                ended = answer[1] if type(effect) is Race else answer
                if ended.code == 0:
                    answered(ended.value)
            if ear.verdict is None:
                effect = flow.send(answer)
        yield from _conclude(flow, effect, ear.verdict, out=out)
        return ear.verdict
    except StopIteration as stop:
        outcome: Outcome = stop.value
        return outcome
    finally:
        flow.close()
        if ear.alarm is not None:
            ear.alarm.cancel()


def _conclude(flow: Flow, effect: Effect, verdict: Outcome, *, out: bool) -> Generator[Effect, Any, None]:
    """Answer the flow with the verdict, whatever it asks for; hand on nothing but whom to cancel, if any are out."""
    try:
        while True:
            answer: Any = None
            if type(effect) is Race:
                if effect.start is None:
                    return  # somebody else's answer is waited for: closing the flow settles them all
                # As an answer, not a refusal: that would leave the other attempts to decide.
                answer = effect.start.number, verdict._replace(rejected_by="")
            elif type(effect) is Attempt or effect is COMMIT:
                answer = verdict
            elif type(effect) is Choose and out:
                yield effect
            effect = flow.send(answer)
    except StopIteration:
        return


def weakly(stop: Callable[[], None]) -> Callable[[], None]:
    """Return what calls a method as long as its object lives: whoever drops a call half-read must not be kept waiting."""
    reference = weakref.WeakMethod(stop)

    def call() -> None:
        alive = reference()
        if alive is not None:
            alive()

    return call
