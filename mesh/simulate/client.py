"""How a client's calls run: the engine's effects, acted on in virtual time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from mesh.call import Arity, Attempt, Call, Choose, Outcome, Race, Sleep
from mesh.engine import Chain, Flow, run
from mesh.simulate.backend import Backend, Wire
from mesh.simulate.loop import Loop
from mesh.simulate.record import Record, Tally
from mesh.simulate.scenario import Outage

EXPIRED: Final = Outcome(4, "Deadline Exceeded")
UNCONNECTED: Final = Outcome(14, "no backend is connected")


class Client:
    """One client process: its chain, and its own turn among the backends."""

    __slots__ = ("_next", "backends", "chain", "delay", "loop", "method", "random", "record", "timeout")

    def __init__(
        self,
        *,
        method: str,
        chain: Chain,
        loop: Loop,
        backends: Sequence[Backend],
        first: int,
        delay: float,
        timeout: float | None,
        random: Callable[[], float],
        record: Record,
    ) -> None:
        """Begin the round with backend number `first`; `delay` is the time on the wire, `timeout` of each call."""
        self.method = method
        self.chain = chain
        self.loop = loop
        self.backends = backends
        self.delay = delay
        self.timeout = timeout
        self.random = random
        self.record = record
        self._next = first

    def begin(self, done: Callable[[], None] | None = None) -> None:
        """Make one call; `done` is called when it is over."""
        call = Call(self.method, Arity.UNARY_UNARY, timeout=self.timeout)
        _Flight(self, call, done).advance(None)

    def pick(self) -> Backend | None:
        """Return the next backend that is connected, as gRPC's round robin does; None when there is none."""
        backends = self.backends
        for _ in backends:
            backend = backends[self._next]
            self._next = (self._next + 1) % len(backends)
            if backend.outage is not Outage.DOWN:
                return backend
        return None

    def __repr__(self) -> str:
        return f"<Client of {len(self.backends)} backends>"


class _Flight:
    """One call on its way."""

    __slots__ = ("_call", "_client", "_done", "_ended", "_flow", "_racing", "_running", "_tally", "_turn")

    def __init__(self, client: Client, call: Call, done: Callable[[], None] | None) -> None:
        self._client = client
        self._call = call
        self._done = done
        self._flow: Flow = run(client.chain, call, client.loop.clock, client.random)
        self._tally: Tally = client.record.begin()
        self._running: dict[int, Wire] = {}
        self._ended: deque[tuple[int, Outcome]] = deque()
        self._racing: bool | None = None
        """Whether what is waited for is a race; None when no attempt is."""
        self._turn = 0
        """Counts the waits, so that a timer knows whether its own is over."""

    def advance(self, answer: Any) -> None:
        """Hand the engine an answer and do what it asks for next."""
        try:
            effect = self._flow.send(answer)
            while True:
                if type(effect) is Attempt:
                    self._racing = False
                    self._start(effect)
                    return
                if type(effect) is Sleep:
                    self._racing = None
                    self._wake_after(effect.seconds)
                    return
                if type(effect) is Choose:
                    self._cancel(effect.number)
                    effect = self._flow.send(None)
                    continue
                assert type(effect) is Race  # noqa: S101 - the calls of a simulation have one answer: nothing to commit
                if effect.start is not None:
                    self._start(effect.start)
                if not self._ended:
                    self._racing = True
                    if effect.wait is not None:
                        self._wake_after(effect.wait)
                    return
                effect = self._flow.send(self._ended.popleft())
        except StopIteration as stop:
            self._end(stop.value)

    def _start(self, attempt: Attempt) -> None:
        client = self._client
        self._tally.attempts += 1
        call = self._call
        metadata = (*call.metadata, *call.outgoing) if call.outgoing else call.metadata
        wire = Wire(attempt.number, attempt.timeout, metadata, self._answered)
        self._running[attempt.number] = wire
        backend = wire.backend = client.pick()
        loop = client.loop
        if backend is None:
            loop.after(0.0, self._unconnected, wire)
            return
        loop.after(client.delay, backend.arrive, wire)
        if attempt.timeout is not None:
            loop.after(attempt.timeout, self._expired, wire)

    def _unconnected(self, wire: Wire) -> None:
        if not wire.over:
            self._answered(wire, UNCONNECTED)

    def _expired(self, wire: Wire) -> None:
        if not wire.over:
            self._leave(wire)
            self._answered(wire, EXPIRED)

    def _answered(self, wire: Wire, outcome: Outcome) -> None:
        wire.over = True
        del self._running[wire.number]
        if self._racing is False:
            self.advance(outcome)
            return
        if self._racing:
            self._racing = None
            self._turn += 1
            self.advance((wire.number, outcome))
        else:
            self._ended.append((wire.number, outcome))

    def _wake_after(self, seconds: float) -> None:
        self._turn += 1
        self._client.loop.after(seconds, self._wake, self._turn)

    def _wake(self, turn: int) -> None:
        if turn == self._turn:
            self._racing = None
            self._turn += 1
            self.advance(None)

    def _cancel(self, winner: int) -> None:
        for number in [number for number in self._running if number != winner]:
            wire = self._running.pop(number)
            wire.over = True
            self._leave(wire)
        self._ended.clear()

    def _leave(self, wire: Wire) -> None:
        wire.over = True
        if wire.backend is not None:
            # The word that nobody waits takes its time too.
            self._client.loop.after(self._client.delay, wire.backend.leave, wire)

    def _end(self, outcome: Outcome) -> None:
        self._cancel(0)
        self._tally.end(outcome, self._client.loop.now - self._call.started)
        if self._done is not None:
            self._done()
