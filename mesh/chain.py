"""Which stages a method's calls go through, in which order and why: the ORDER table, compiled per method.

`ORDER` is data. `compile_chain` checks it, drops what the policy does not configure (an absent feature costs nothing)
and returns an immutable chain; `explain` prints the same table, so what is printed is what runs.
"""

from __future__ import annotations

import dataclasses
import enum
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from mesh.call import Arity, Side
from mesh.engine import Chain, Clock, Random, Retry, Stage
from mesh.errors import ChainError, ConfigError
from mesh.policy.observe import TraceEngine, TracePolicy
from mesh.policy.problem import Problems
from mesh.policy.table import PolicyTable
from mesh.stage import (
    access_log,
    attempt_metrics,
    breaker,
    concurrency,
    deadline,
    load_report,
    metrics,
    retry,
    trace,
)
from mesh.stage.scope import Scope, State
from mesh.telemetry.telemetry import Telemetry

_log = logging.getLogger("mesh")


class Span(enum.Enum):
    """How much of a call a stage sees."""

    CALL = "call"
    BETWEEN = "between"
    ATTEMPT = "attempt"


class Slot(NamedTuple):
    """One place in the order."""

    name: str
    span: Span
    sides: frozenset[Side]
    section: str
    """The field of mesh.v1.Policy that configures it."""
    build: Callable[[Scope], Stage | Retry | None]
    describe: Callable[[Scope], str]
    before: tuple[str, ...]
    because: str


CLIENT: Final = frozenset({Side.CLIENT})
SERVER: Final = frozenset({Side.SERVER})
BOTH: Final = CLIENT | SERVER

ORDER: Final[tuple[Slot, ...]] = (
    Slot(
        "trace", Span.CALL, BOTH, "trace", trace.build, trace.describe,
        before=("metrics", "access_log"),
        because="everything below must appear inside the span",
    ),
    Slot(
        "metrics", Span.CALL, BOTH, "metrics", metrics.build, metrics.describe,
        before=("deadline", "server_concurrency"),
        because="a call that is refused below must still be counted",
    ),
    Slot(
        "access_log", Span.CALL, BOTH, "access_log", access_log.build, access_log.describe,
        before=("deadline", "server_concurrency"),
        because="a call that is refused below must still leave a line",
    ),
    Slot(
        "load_report", Span.CALL, SERVER, "load_report", load_report.build, load_report.describe,
        before=("server_concurrency",),
        because="calls shed below are load too",
    ),
    Slot(
        "deadline", Span.CALL, BOTH, "deadline", deadline.build, deadline.describe,
        before=("server_concurrency", "retry"),
        because="work for a caller that has gone is waste, and all attempts share one deadline",
    ),
    Slot(
        "server_concurrency", Span.CALL, SERVER, "server_concurrency", concurrency.build, concurrency.describe,
        before=(),
        because="last before the handler: only calls that would run take a slot",
    ),
    Slot(
        "retry", Span.BETWEEN, CLIENT, "retry", retry.build, retry.describe,
        before=("circuit_breaker",),
        because="each attempt must ask the breaker again",
    ),
    Slot(
        "circuit_breaker", Span.ATTEMPT, CLIENT, "circuit_breaker", breaker.build, breaker.describe,
        before=("client_concurrency",),
        because="a call to a dead target must not take a slot",
    ),
    Slot(
        "client_concurrency", Span.ATTEMPT, CLIENT, "client_concurrency",
        concurrency.build, concurrency.describe,
        before=("attempt_metrics",),
        because="only attempts that go out take a slot",
    ),
    Slot(
        "attempt_metrics", Span.ATTEMPT, CLIENT, "metrics", attempt_metrics.build, attempt_metrics.describe,
        before=(),
        because="nearest the wire: it times the wire and nothing else",
    ),
)  # fmt: skip


def check(order: Iterable[Slot] = ORDER) -> None:
    """Raise ChainError with every rule of the order that does not hold."""
    slots = list(order)
    places = {slot.name: place for place, slot in enumerate(slots)}
    broken = [
        f"{slot.name} must come before {later}: {slot.because}"
        for place, slot in enumerate(slots)
        for later in slot.before
        if places.get(later, place + 1) <= place
    ]
    broken += [
        f"{slot.name} is there twice" for place, slot in enumerate(slots) if places[slot.name] != place
    ]
    spans = [list(Span).index(slot.span) for slot in slots]
    if spans != sorted(spans):
        broken.append("stages per call come first, then what is between attempts, then stages per attempt")
    if broken:
        raise ChainError("; ".join(broken))


def compile_chain(scope: Scope, order: Sequence[Slot] = ORDER) -> Chain:
    """Return the chain of one method."""
    check(order)
    per_call: list[Stage] = []
    per_attempt: list[Stage] = []
    between = Retry()
    for slot in order:
        part = slot.build(scope) if scope.side in slot.sides else None
        if isinstance(part, Retry):
            between = part
        elif part is not None:
            (per_call if slot.span is Span.CALL else per_attempt).append(part)
    return Chain(tuple(per_call), tuple(per_attempt), between, _report)


def explain(scope: Scope, order: Sequence[Slot] = ORDER) -> str:
    """Render a method's chain for a person: each stage in order, its policy's values, and why it sits there."""
    where = "to" if scope.side is Side.CLIENT else "in"
    title = f"{scope.method.lstrip('/')} ({scope.side.value}, {scope.arity.value}) {where} {scope.target}"
    lines, spare = [title], []
    for slot in order:
        if scope.side not in slot.sides:
            continue
        if slot.build(scope) is None:
            reason = retry.absent(scope) if slot.name == "retry" else "not configured"
            if slot.name == "trace" and scope.policy.trace is not None:
                reason = "left to opentelemetry-instrumentation-grpc"
            spare.append(f"{slot.name} ({reason})")
            continue
        lines.append(f"  {slot.span.value:<8} {slot.name:<19} {slot.describe(scope)}")
        lines.append(f"  {'':<8} {'':<19} because {slot.because}")
    if spare:
        lines.append(f"  absent   {'; '.join(spare)}")
    return "\n".join(lines)


class Chains:
    """The compiled chains of one side of one target; a policy push is one assignment.

    In-flight calls keep the chain they started with; mechanisms whose own policy did not change keep their state.
    Belongs to one event loop.
    """

    __slots__ = (
        "_chains",
        "_cpu",
        "_foreign",
        "_native",
        "_policies",
        "clock",
        "random",
        "side",
        "state",
        "target",
        "telemetry",
    )

    def __init__(
        self,
        policies: PolicyTable,
        *,
        side: Side,
        target: str,
        telemetry: Telemetry,
        state: State | None = None,
        clock: Clock = time.monotonic,
        random: Random = random.random,
        cpu: Callable[[], float] = time.process_time,
        native: bool = False,
    ) -> None:
        """Compile from these policies; `native`: make the spans here even where a policy leaves them to the package.

        That is for calls without interceptors, where the package has no place.
        """
        check()
        self._policies = policies
        self._native = native
        self._chains: dict[str, Chain] = {}
        self._foreign: dict[str, bool] = {}
        self.side = side
        self.target = target
        self.telemetry = telemetry
        self.state = State() if state is None else state
        self.clock = clock
        self.random = random
        self._cpu = cpu

    def find(self, method: str, arity: Arity) -> Chain:
        """Return the method's chain, compiled at its first call.

        Raises ConfigError when the method's proto annotations are wrong.
        """
        chain = self._chains.get(method)
        if chain is None:
            chain = self._chains[method] = compile_chain(self.scope(method, arity))
        return chain

    def scope(self, method: str, arity: Arity) -> Scope:
        at = Problems(method)
        policy = self._policies.policy(method, at)
        if at:
            raise ConfigError(at.list)
        if self._native and policy.trace is not None:
            policy = dataclasses.replace(policy, trace=TracePolicy())
        return Scope(
            method, arity, self.side, self.target, policy, self.telemetry, self.state, self.clock, self._cpu
        )

    def leaves_spans(self, method: str) -> bool:
        """Whether the method's policy leaves its spans to opentelemetry-instrumentation-grpc."""
        foreign = self._foreign.get(method)
        if foreign is None:
            policy = self._policies.policy(method).trace
            foreign = policy is not None and policy.engine is TraceEngine.OTEL_INSTRUMENTATION
            self._foreign[method] = foreign
        return foreign

    def swap(self, policies: PolicyTable) -> None:
        """Let new calls follow new policies."""
        self._policies, self._chains, self._foreign = policies, {}, {}

    def __repr__(self) -> str:
        return f"<Chains {self.side.value} {self.target} {len(self._chains)} compiled>"


def _report(stage: Stage, error: Exception) -> None:
    _log.error("stage %s failed", stage.name, exc_info=error)
