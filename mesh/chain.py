"""Which stages the calls of one method go through: the order, compiled under the method's policy.

`compile_chain` drops what the policy does not configure (an absent feature costs nothing) and returns an immutable chain;
`explain` prints the same table, so what is printed is what runs.
"""

from __future__ import annotations

import dataclasses
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from google.protobuf.descriptor_pool import DescriptorPool

from mesh.call import Arity, Side
from mesh.contract import Clock, Fallback, Hedge, Random, Retry, Stage
from mesh.engine import Chain
from mesh.errors import ConfigError
from mesh.order import ORDER, Slot, Span, check
from mesh.policy.observe import TraceEngine, TracePolicy
from mesh.policy.problem import Problem, Problems
from mesh.policy.table import PolicyTable
from mesh.stage import route
from mesh.stage.copier import Copier
from mesh.stage.route import Routes
from mesh.stage.scope import OFF, Scope, State
from mesh.telemetry.telemetry import Telemetry

_log = logging.getLogger("mesh")

Inert: TypeAlias = Callable[[Scope], Mapping[str, str]]
"""What says which sections of a method's policy do nothing where its calls are made, each with the reason."""


def compile_chain(scope: Scope, order: Sequence[Slot] = ORDER) -> Chain:
    """Return the chain of one method."""
    check(order)
    per_call: list[Stage] = []
    per_attempt: list[Stage] = []
    between: Retry | None = None
    racing: Hedge | None = None
    last: Fallback | None = None
    for slot in order:
        part = slot.build(scope) if scope.side in slot.sides else None
        if isinstance(part, Retry):
            between = part
        elif isinstance(part, Hedge):
            racing = part
        elif isinstance(part, Fallback):
            last = part
        elif part is not None and not isinstance(part, Routes):
            (per_call if slot.span is Span.CALL else per_attempt).append(part)
    return Chain(tuple(per_call), tuple(per_attempt), between, _report, hedge=racing, fallback=last)


def explain(scope: Scope, order: Sequence[Slot] = ORDER, inert: Mapping[str, str] | None = None) -> str:
    """Render a method's chain for a person: each stage in order, its policy's values, and why it sits there."""
    where = "to" if scope.side is Side.CLIENT else "in"
    title = f"{scope.method.lstrip('/')} ({scope.side.value}, {scope.arity.value}) {where} {scope.target}"
    lines, off, spare = [title], [], []
    for slot in order:
        if scope.side not in slot.sides:
            continue
        if slot.build(scope) is None:
            reason = OFF if slot.absent is None else slot.absent(scope)
            if reason == OFF:
                off.append(slot.name)
            else:
                spare.append(f"{slot.name} ({reason})")
            continue
        lines.append(f"  {slot.span.value:<8} {slot.name:<19} {slot.describe(scope)}")
        lines.append(f"  {'':<8} {'':<19} because {slot.because}")
    if off:
        lines.append(f"  off      {', '.join(off)}")
    if spare:
        lines.append(f"  absent   {'; '.join(spare)}")
    if inert:
        lines.append(f"  inert    {'; '.join(f'{section} ({reason})' for section, reason in inert.items())}")
    return "\n".join(lines)


class _View(NamedTuple):
    """What one set of policies makes of the methods that are called; replaced as a whole, so readers need no lock."""

    policies: PolicyTable
    chains: dict[str, Chain]
    arities: dict[str, Arity]
    foreign: dict[str, bool]
    routes: dict[str, Routes | None]


class Chains:
    """The compiled chains of one side of one target; a policy push is one assignment.

    In-flight calls keep the chain they started with; mechanisms whose own policy did not change keep their state.
    Calls belong to one event loop; a push may come from any thread.
    """

    __slots__ = (
        "__weakref__",
        "_copier",
        "_cpu",
        "_inert",
        "_native",
        "_order",
        "_subsets",
        "_view",
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
        order: Sequence[Slot] = ORDER,
        inert: Inert = lambda _: {},
        copier: Copier | None = None,
        subsets: tuple[str, ...] | None = None,
    ) -> None:
        """Compile from these policies; `native`: make the spans here even where a policy leaves them to the package.

        That is for calls without interceptors, where the package has no place. Nor has it where no policy named it when
        the interceptors were made: a push that names it later finds the spans made here. `inert` knows what the calls'
        binding cannot do. Without a `copier` nothing is mirrored; without `subsets`, even none, nothing is routed.
        """
        check(order)
        self._order = order
        self._inert = inert
        self._view = _View(policies, {}, {}, {}, {})
        self._native = native or not policies.names_otel_instrumentation
        self.side = side
        self.target = target
        self.telemetry = telemetry
        self.state = State() if state is None else state
        self.clock = clock
        self.random = random
        self._cpu = cpu
        self._copier = copier
        self._subsets = subsets

    def find(self, method: str, arity: Arity) -> Chain:
        """Return the method's chain, compiled at its first call.

        Raises ConfigError when the method's proto annotations are wrong.
        """
        view = self._view
        return view.chains.get(method) or self._compile(view, method, arity)

    def _compile(self, view: _View, method: str, arity: Arity) -> Chain:
        # Not while a push decides which state is still wanted: what is made here is.
        with self.state.compiling, self.telemetry.aggregates.gauges(self.state):
            scope = self._scope(view.policies, method, arity)
            self._require(scope)
            if scope.policy.fallback is not None and "fallback" in self._inert(scope):
                # An answer that cannot be handed over must not take the place of the failure.
                scope = scope._replace(policy=dataclasses.replace(scope.policy, fallback=None))
            chain = compile_chain(scope, self._order)
        view.arities[method] = arity
        view.chains[method] = chain
        return chain

    def explain(self, method: str, arity: Arity) -> str:
        """Render the method's chain for a person, the application's own stages included."""
        scope = self.scope(method, arity)
        return explain(scope, self._order, self._inert(scope))

    def _require(self, scope: Scope) -> None:
        """Raise ConfigError when a section that must be enforced does nothing on this chain."""
        if not scope.policy.required:
            return
        reasons = self._inert(scope)
        at = Problems(scope.method).field("required")
        for section in sorted(scope.policy.required & reasons.keys()):
            at.add(f'"{section}" must be enforced, but does nothing here: {reasons[section]}')
        if at:
            raise ConfigError(at.list)

    def scope(self, method: str, arity: Arity) -> Scope:
        return self._scope(self._view.policies, method, arity)

    def _scope(self, policies: PolicyTable, method: str, arity: Arity) -> Scope:
        at = Problems(method)
        policy = policies.policy(method, at)
        if at:
            raise ConfigError(at.list)
        if self._native and policy.trace is not None:
            policy = dataclasses.replace(policy, trace=TracePolicy())
        return Scope(
            method,
            arity,
            self.side,
            self.target,
            policy,
            self.telemetry,
            self.state,
            clock=self.clock,
            cpu=self._cpu,
            pool=policies.pool,
            random=self.random,
            copier=self._copier,
            subsets=self._subsets,
        )

    @property
    def pool(self) -> DescriptorPool | None:
        """Where the environment's descriptors are; None: there are only those of imported stubs."""
        return self._view.policies.pool

    def routes(self, method: str) -> Routes | None:
        """Return where the method's calls are routed; None: they stay here.

        Raises ConfigError when a route names a subset that the target does not have.
        """
        view = self._view
        if method not in view.routes:
            view.routes[method] = self._routes(view, method)
        return view.routes[method]

    def _routes(self, view: _View, method: str) -> Routes | None:
        # Routes are the same for every arity, and chosen before it is looked at.
        return (
            None
            if self._subsets is None
            else route.build(self._scope(view.policies, method, Arity.UNARY_UNARY))
        )

    def leaves_spans(self, method: str) -> bool:
        """Whether the method's policy leaves its spans to opentelemetry-instrumentation-grpc."""
        view = self._view
        foreign = view.foreign.get(method)
        if foreign is None:
            policy = view.policies.policy(method).trace
            foreign = policy is not None and policy.engine is TraceEngine.OTEL_INSTRUMENTATION
            view.foreign[method] = foreign = foreign and not self._native
        return foreign

    def prepare(self, policies: PolicyTable) -> Callable[[], None]:
        """Compile every method that was called under new policies, beside the old; return what puts them in place.

        Raises ConfigError when a method cannot be called under them.
        """
        view = _View(policies, {}, {}, {}, {})
        problems: list[Problem] = []
        for method, arity in list(self._view.arities.items()):
            try:
                self._compile(view, method, arity)
                view.routes[method] = self._routes(view, method)
            except ConfigError as error:
                problems += error.problems
        for method in list(self._view.routes):
            try:
                view.routes[method] = self._routes(view, method)
            except ConfigError as error:
                problems += [problem for problem in error.problems if problem not in problems]
        if problems:
            raise ConfigError(problems)

        def adopt() -> None:
            self._view = view

        return adopt

    def swap(self, policies: PolicyTable) -> None:
        """Let new calls follow new policies; raises ConfigError, and leaves all as it was, when they cannot."""
        self.prepare(policies)()

    def __repr__(self) -> str:
        return f"<Chains {self.side.value} {self.target} {len(self._view.chains)} compiled>"


def _report(stage: Stage, error: Exception) -> None:
    _log.error("stage %s failed", stage.name, exc_info=error)
