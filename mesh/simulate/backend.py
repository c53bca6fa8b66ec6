"""What a backend does with an attempt: its server chain, its workers and their queue, and whatever is wrong with it.

The server chain is the mesh's own. The handler behind it is modelled: a call takes a worker or waits for one in turn,
takes as long as the latency says, and fails as often as the error share says. Whether a worker stops when its caller has
gone is the scenario's to say: one that does not is what keeps an overloaded service down.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Final

from mesh.call import Arity, Call, Outcome
from mesh.engine import Chain, Flow, run
from mesh.simulate.loop import Loop
from mesh.simulate.record import Record
from mesh.simulate.scenario import Backends, Outage

FAILED: Final = Outcome(14, "the backend is out of order")
FULL: Final = Outcome(8, "the backend's queue is full")


class Wire:
    """One attempt, from the client that makes it to the backend that answers it. `over` as soon as nobody waits."""

    __slots__ = ("answer", "backend", "job", "metadata", "number", "over", "timeout")

    def __init__(
        self,
        number: int,
        timeout: float | None,
        metadata: tuple[tuple[str, str | bytes], ...],
        answer: Callable[[Wire, Outcome], None],
    ) -> None:
        self.number = number
        self.timeout = timeout
        self.metadata = metadata
        self.answer = answer
        """Called with the outcome, unless the attempt is over by then."""
        self.over = False
        self.backend: Backend | None = None
        self.job: Job | None = None

    def __repr__(self) -> str:
        return f"<Wire {self.number} {'over' if self.over else 'open'}>"


class Job:
    """One call in a backend."""

    __slots__ = ("flow", "gone", "running", "wire")

    def __init__(self, flow: Flow, wire: Wire) -> None:
        self.flow = flow
        self.wire = wire
        self.running = False
        self.gone = False
        """The caller has gone, and the backend noticed."""

    def __repr__(self) -> str:
        return f"<Job of {self.wire!r} {'running' if self.running else 'waiting'}>"


class Backend:
    """One server process."""

    __slots__ = (
        "_busy",
        "_chain",
        "_delay",
        "_draw",
        "_latency",
        "_loop",
        "_method",
        "_queue",
        "_random",
        "_record",
        "_spec",
        "_waiting",
        "_workers",
        "error_share",
        "outage",
        "slowdown",
    )

    def __init__(
        self,
        spec: Backends,
        *,
        method: str,
        chain: Chain,
        loop: Loop,
        latency: Callable[[], float],
        draws: Random,
        random: Callable[[], float],
        record: Record,
    ) -> None:
        """`latency` and `draws` are the handlers' randomness, `random` the chain's."""
        self._spec = spec
        self._method = method
        self._chain = chain
        self._loop = loop
        self._latency = latency
        self._draw = draws.random
        self._random = random
        self._record = record
        self._delay = spec.network_delay
        self._workers = spec.workers
        self._busy = 0
        self._waiting = 0
        self._queue: deque[Job] = deque()
        self.outage = Outage.NONE
        self.slowdown = 1.0
        self.error_share = spec.error_share

    def employ(self, workers: int) -> None:
        """Have so many workers from now on; those too many finish what they do."""
        self._workers = workers
        self._fill()

    def arrive(self, wire: Wire) -> None:
        """Take an attempt from the wire."""
        self._record.arrived()
        if self.outage:
            if self.outage is not Outage.HANG:
                self._respond(wire, FAILED)
            return
        if wire.over and not self._spec.finishes_abandoned:
            return
        timeout = None if wire.timeout is None else max(0.0, wire.timeout - self._delay)
        call = Call(self._method, Arity.UNARY_UNARY, metadata=wire.metadata, timeout=timeout)
        flow = run(self._chain, call, self._loop.clock, self._random)
        job = Job(flow, wire)
        if not self._step(job, None):
            return
        wire.job = job
        if self._busy < self._workers:
            self._work(job)
        elif self._spec.queue is not None and self._waiting >= self._spec.queue:
            self._step(job, FULL)
        else:
            self._waiting += 1
            self._queue.append(job)

    def leave(self, wire: Wire) -> None:
        """Learn that nobody waits for this attempt any more."""
        job = wire.job
        if job is None or self._spec.finishes_abandoned:
            return
        job.gone = True
        job.flow.close()
        if job.running:
            self._busy -= 1
            self._fill()
        else:
            self._waiting -= 1

    def _work(self, job: Job) -> None:
        self._busy += 1
        job.running = True
        self._loop.after(self._latency() * self.slowdown, self._finish, job)

    def _finish(self, job: Job) -> None:
        if job.gone:
            return
        self._busy -= 1
        if job.wire.over:
            self._record.wasted()
        failed = self.error_share and self._draw() < self.error_share
        self._step(job, Outcome(self._spec.error_code, "the backend failed") if failed else Outcome(0))
        self._fill()

    def _fill(self) -> None:
        while self._busy < self._workers and self._queue:
            job = self._queue.popleft()
            if not job.gone:
                self._waiting -= 1
                self._work(job)

    def _step(self, job: Job, answer: Outcome | None) -> bool:
        """Go on with the server's chain, whose one effect is the handler's turn; return whether that has come."""
        try:
            job.flow.send(answer)
        except StopIteration as stop:
            outcome: Outcome = stop.value
            job.wire.job = None
            if outcome.rejected_by:
                self._record.refused(outcome.rejected_by)
            self._respond(job.wire, outcome)
            return False
        return True

    def _respond(self, wire: Wire, outcome: Outcome) -> None:
        if wire.over:
            return
        # What the stages of the server say about themselves stays there.
        seen = Outcome(outcome.code, outcome.details, trailing=outcome.trailing) if outcome.code else outcome
        self._loop.after(self._delay, _deliver, (wire, seen))

    def __repr__(self) -> str:
        return f"<Backend {self._busy}/{self._workers} busy, {self._waiting} waiting, {self.outage.name}>"


def _deliver(answer: tuple[Wire, Outcome]) -> None:
    wire, outcome = answer
    if not wire.over:
        wire.answer(wire, outcome)
