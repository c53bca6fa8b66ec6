"""Which span a request is answered under: the caller's trace continued, or a new one begun where it is sampled.

Backend calls find the trace in their parent call's `scratch`; an unsampled request builds no span.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gateway.exchange import Exchange
from mesh.call import Call, Side
from mesh.telemetry.traceparent import TraceContext
from mesh.telemetry.tracing import Carried, Span, Tracing, context_of, fail


class EdgeSpan(NamedTuple):
    """The span of one request."""

    span: Span

    def end(self, exchange: Exchange) -> None:
        """End it with the answer's status; names are those of OpenTelemetry's HTTP conventions."""
        try:
            self.span.set_attribute("http.response.status_code", exchange.status)
            # "Span Status MUST be left unset if HTTP status code was in the 1xx, 2xx, 3xx or 4xx ranges [of a server]".
            if exchange.status >= 500:
                self.span.set_attribute("error.type", str(exchange.status))
                fail(self.span, exchange.error, None)
        finally:
            self.span.end()


class EdgeTracing:
    """Begins the spans of one gateway."""

    __slots__ = ("_tracing",)

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def begin(self, exchange: Exchange, parent: Call) -> EdgeSpan | None:
        """Put the request's trace where backend calls look for it; return its span if there is one."""
        context: TraceContext | None = exchange.trace
        parent.scratch = context
        return self._start(exchange, context, parent) if self._tracing.ready(exchange.started) else None

    def _start(self, exchange: Exchange, context: TraceContext | None, parent: Call) -> EdgeSpan | None:
        tracing = self._tracing
        if context is None and not tracing.draw():
            context = exchange.trace = parent.scratch = tracing.unsampled()
        if context is not None and not context.sampled:
            return None
        attributes: dict[str, Any] = {
            "http.request.method": exchange.method,
            "http.route": exchange.route,
            "url.path": exchange.path.decode("latin-1"),
            "url.scheme": exchange.scope.get("scheme", "http"),
        }
        around = None if context is None else Carried(context)
        span = tracing.start(f"{exchange.method} {exchange.route}", Side.SERVER, attributes, around)
        exchange.trace = parent.scratch = context_of(span)
        return EdgeSpan(span) if span.is_recording() else None

    def __repr__(self) -> str:
        return f"<EdgeTracing {self._tracing!r}>"
