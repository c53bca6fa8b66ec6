"""Which span a call belongs under, whether it gets one of its own, and what it tells the next hop about it.

Where the trace comes from. On a server: the caller's `traceparent`. On a client: the span current in this context,
so that spans of the application are parents; else what the server call that is being handled was told. A client call
that already carries a `traceparent` is traced by somebody outside and left alone.

Who is sampled. The caller's flag decides, before the SDK is touched. Without a trace a new one begins, sampled by the
mesh's ratio or, if there is none, by the SDK's sampler; a new trace that is not sampled still has an id, with the flag
off, so that nobody further down begins another one.

What an unsampled call costs: reading the header and forwarding it. No span, no attributes.
"""

from __future__ import annotations

from typing import Any, Final

from mesh.call import CODE_NAMES, Call, Outcome, Side
from mesh.contract import Stage
from mesh.policy.observe import TraceEngine
from mesh.stage.metrics import errors
from mesh.stage.scope import OFF, Scope
from mesh.telemetry import otel
from mesh.telemetry.instruments import ERROR_TYPE, METHOD, REJECTED_BY, STATUS_CODE, SYSTEM
from mesh.telemetry.peer import address
from mesh.telemetry.traceparent import TRACEPARENT, TraceContext, read
from mesh.telemetry.tracing import (
    Carried,
    Span,
    Token,
    Tracing,
    context_of,
    enter,
    fail,
    is_server_span,
    leave,
)

ATTEMPTS: Final = "mesh.attempts"
"""How many attempts a call took, on spans of calls that took more than one: retries make no spans of their own."""


class _Trace(Stage):
    """What both sides share: spans that begin by the flag and end with the call."""

    __slots__ = ("_attributes", "_errors", "_name", "_side", "_spans", "_tracing")

    name = "trace"

    def __init__(self, tracing: Tracing, method: str, side: Side, target: str, *, spans: bool) -> None:
        self._tracing = tracing
        self._name = method.lstrip("/")
        self._side = side
        self._spans = spans
        self._errors = errors(side)
        self._attributes: dict[str, str | int] = {SYSTEM: "grpc", METHOD: self._name}
        if side is Side.CLIENT:
            # "A string identifying a group of RPC server instances request is sent to." - semantic conventions
            self._attributes["server.address"] = target

    def _begin(self, parent: Span | None, more: dict[str, str | int]) -> Span:
        attributes = {**self._attributes, **more} if more else self._attributes
        return self._tracing.start(self._name, self._side, attributes, parent)

    def _end(self, span: Span, call: Call, outcome: Outcome) -> None:
        try:
            code = CODE_NAMES[outcome.code]
            span.set_attribute(STATUS_CODE, code)
            if call.attempt > 1:
                span.set_attribute(ATTEMPTS, call.attempt)
            if outcome.rejected_by:
                span.set_attribute(REJECTED_BY, outcome.rejected_by)
            if outcome.code in self._errors:
                span.set_attribute(ERROR_TYPE, code)
                fail(span, outcome.details, outcome.error if self._side is Side.SERVER else None)
        finally:
            span.end()


class ServerTrace(_Trace):
    """Continues the caller's trace, and makes it current for the handler."""

    __slots__ = ()

    def admit(self, call: Call, now: float) -> Outcome | object:
        tracing = self._tracing
        context = call.scratch = read(call.metadata)
        if not tracing.ready(now):
            return None
        if context is None:
            if not self._spans:
                return None
            if not tracing.draw():
                context = call.scratch = tracing.unsampled()
        if context is not None and not (self._spans and context.sampled):
            return enter(Carried(context))
        around = tracing.current()
        if is_server_span(around):
            call.scratch = context_of(around)
            # An interceptor of opentelemetry-instrumentation-grpc is outside ours: one call, one span.
            return None
        span = self._begin(None if context is None else Carried(context), _peer(call.peer))
        call.scratch = context_of(span)
        return enter(span), span

    def settle(self, call: Call, ticket: Any, outcome: Outcome, now: float) -> None:  # noqa: ARG002 - the contract's signature
        if ticket is None:
            return
        if type(ticket) is Token:
            leave(ticket)
            return
        token, span = ticket
        leave(token)
        if span.is_recording():
            self._end(span, call, outcome)


class ClientTrace(_Trace):
    """Continues the trace it is called in, and tells the server."""

    __slots__ = ()

    def admit(self, call: Call, now: float) -> Outcome | object:
        tracing = self._tracing
        if call.metadata and any(key == TRACEPARENT for key, _ in call.metadata):
            call.scratch = read(call.metadata)
            return None
        parent = call.parent
        context: TraceContext | None = None if parent is None else parent.scratch
        span: Span | None = None
        if tracing.ready(now):
            around: Span | None = tracing.current()
            current = None if around is None else context_of(around)
            if current is not None:
                context = current
            elif context is not None:
                around = Carried(context)
            else:
                around = None
                if self._spans and not tracing.draw():
                    context = tracing.unsampled()
            if self._spans and (context is None or context.sampled):
                span = self._begin(around, {})
                context = context_of(span)
        if context is not None:
            call.scratch = context
            call.outgoing.extend(context.outgoing())
        return span if span is not None and span.is_recording() else None

    def settle(self, call: Call, ticket: Any, outcome: Outcome, now: float) -> None:  # noqa: ARG002 - the contract's signature
        if ticket is not None:
            self._end(ticket, call, outcome)


def _peer(peer: str) -> dict[str, str | int]:
    host, port = address(peer)
    if not host:
        return {}
    if port is None:
        return {"network.peer.address": host}
    return {"network.peer.address": host, "network.peer.port": port}


def build(scope: Scope) -> Stage | None:
    """Return the stage; without spans, where there are to be none, it still carries the context.

    Raises ConfigError when the policy asks for opentelemetry-instrumentation-grpc and that is not installed.
    """
    policy = scope.policy.trace
    selected = policy is not None and scope.telemetry.selection.selects(scope.method)
    if policy is not None and policy.engine is TraceEngine.OTEL_INSTRUMENTATION:
        otel.require(scope.method)
        if selected:
            return None
        selected = False
    kind = ClientTrace if scope.side is Side.CLIENT else ServerTrace
    return kind(scope.telemetry.tracing, scope.method, scope.side, scope.target, spans=selected)


def describe(scope: Scope) -> str:
    if scope.policy.trace is None:
        return "no spans: switched off; the trace context is carried"
    if not scope.telemetry.selection.selects(scope.method):
        return "no spans: excluded by filter or service; the trace context is carried"
    ratio = scope.telemetry.tracing.ratio
    roots = "new traces by the SDK's sampler" if ratio is None else f"{ratio:.2%} of new traces"
    return f"native spans: what the caller samples, {roots}"


def absent(scope: Scope) -> str:
    """Say why there is no trace stage."""
    return OFF if scope.policy.trace is None else "left to opentelemetry-instrumentation-grpc"
