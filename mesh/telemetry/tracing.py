"""How spans are begun and ended: the OpenTelemetry API, as the trace stage asks it.

Stages and bindings know spans through this module only. Without an SDK nothing here is asked but `ready`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextvars import Token
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    NoOpTracerProvider,
    ProxyTracerProvider,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from mesh.call import Side
from mesh.telemetry.traceparent import TraceContext, render, unsampled

__all__ = ["Carried", "Span", "Token", "Tracing", "context_of", "enter", "fail", "is_server_span", "leave"]

SCOPE: Final = "grpc-mesh"
"""The instrumentation scope of our spans and metrics."""
SCHEMA: Final = "https://opentelemetry.io/schemas/1.44.0"
"""The version of the semantic conventions whose names we use."""

DECIDED: Final = "mesh-sampled"
"""A key in the context of a root span: the mesh has drawn, and the span is to be sampled."""

_LOOK_AGAIN: Final = 1.0
"""Seconds between two looks for a provider."""

_KINDS: Final = {Side.CLIENT: SpanKind.CLIENT, Side.SERVER: SpanKind.SERVER}
_EMPTY: Final = Context()
_SAMPLED_ROOT: Final = otel_context.set_value(DECIDED, value=True, context=_EMPTY)


class Carried(NonRecordingSpan):
    """A caller's span, made current without building its context: most calls never ask for it."""

    def __init__(self, carried: TraceContext) -> None:  # the base's would want the context now
        self.carried = carried
        self._built: SpanContext | None = None

    def get_span_context(self) -> SpanContext:
        if self._built is None:
            carried = self.carried
            self._built = SpanContext(
                int(carried.trace_id, 16),
                int(carried.span_id, 16),
                is_remote=True,
                trace_flags=TraceFlags(carried.flags),
                trace_state=TraceState.from_header([carried.state]) if carried.state else None,
            )
        return self._built

    def __repr__(self) -> str:
        return f"<Carried {self.carried.header}>"


# The API's own way to a context with a span in it copies what is current twice; the key is found out by asking it once,
# and the variable that everything goes through by attaching once.
(_SPAN_KEY,) = set_span_in_context(INVALID_SPAN, _EMPTY)
_attached = otel_context.attach(_EMPTY)
_CURRENT: Final = _attached.var
otel_context.detach(_attached)


def enter(span: Span) -> Token[Context]:
    """Make a span current; return what `leave` undoes it with."""
    return _CURRENT.set(Context({**_CURRENT.get(), _SPAN_KEY: span}))


def leave(token: Token[Context]) -> None:
    """Make current what was, unless we are in another context by now, as when a call is garbage-collected."""
    try:
        _CURRENT.reset(token)
    except ValueError:
        return  # the API's detach() would log it


class Tracing:
    """Who makes spans, and how roots are sampled.

    `provider` None: the process's, whenever it is set. `ratio` is the share of new traces that are sampled, decided
    here before the SDK is touched; None leaves it to the SDK's sampler, which costs a span's start for each root.
    """

    __slots__ = ("_bits", "_look_again", "_random", "_tracer", "provider", "ratio")

    def __init__(
        self,
        *,
        provider: trace.TracerProvider | None = None,
        ratio: float | None = None,
        random: Callable[[], float] = random.random,
        bits: Callable[[int], int] = random.getrandbits,
    ) -> None:
        self.provider = provider
        self._tracer: trace.Tracer | None = None
        self._look_again = 0.0
        self._random = random
        self._bits = bits
        self.ratio = ratio

    def ready(self, now: float) -> bool:
        """Return whether there is anyone to make spans; a provider set late is noticed within a second.

        `now` is in monotonic seconds. Where there is no provider, asking for it costs 1 us: the API looks at the
        process's environment each time.
        """
        if self._tracer is not None:
            return True
        if now < self._look_again:
            return False
        self._look_again = now + _LOOK_AGAIN
        provider = trace.get_tracer_provider() if self.provider is None else self.provider
        if isinstance(provider, ProxyTracerProvider | NoOpTracerProvider):
            return False
        self._tracer = provider.get_tracer(SCOPE, schema_url=SCHEMA)
        return True

    def current(self) -> Span:
        """Return the span that is current in this context; its context is invalid when there is none."""
        span = _CURRENT.get().get(_SPAN_KEY)
        return span if isinstance(span, Span) else INVALID_SPAN

    def draw(self) -> bool:
        """Decide whether a new trace is to be recorded; True also when the SDK's sampler is to decide."""
        return self.ratio is None or self._random() < self.ratio

    def unsampled(self) -> TraceContext:
        """Return the context of a new trace that nobody is to record."""
        return unsampled(self._bits)

    def start(
        self,
        name: str,
        side: Side,
        attributes: Mapping[str, str | int],
        parent: Span | None,
    ) -> Span:
        """Begin a span, if the SDK's sampler agrees; `parent` None begins a trace."""
        if parent is not None:
            context = set_span_in_context(parent, _EMPTY)
        else:
            context = _EMPTY if self.ratio is None else _SAMPLED_ROOT
        tracer = self._tracer
        if tracer is None:
            return INVALID_SPAN
        return tracer.start_span(
            name,
            context,
            _KINDS[side],
            attributes,
            record_exception=False,
            set_status_on_exception=False,
        )

    def __repr__(self) -> str:
        return f"<Tracing provider={self.provider} ratio={self.ratio}>"


def context_of(span: Span) -> TraceContext | None:
    """Return what calls made under this span have to send; None when it has no identity."""
    if span is INVALID_SPAN:
        return None
    if type(span) is Carried:
        return span.carried
    context = span.get_span_context()
    if not context.is_valid:
        return None
    state = context.trace_state
    header = render(context.trace_id, context.span_id, context.trace_flags)
    return TraceContext(header, state.to_header() if state else "")


def is_server_span(span: Span) -> bool:
    """Return whether this is a span that somebody else has begun for a call being handled."""
    # The API has no way to ask for a span's kind; the SDK's spans have one.
    return span.is_recording() and getattr(span, "kind", None) is SpanKind.SERVER


def fail(span: Span, details: str, error: BaseException | None) -> None:
    """Mark the span as failed."""
    if error is not None:
        span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, details or None))
