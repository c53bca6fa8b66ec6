"""How `opentelemetry-instrumentation-grpc` makes the spans of the methods whose policy asks for it.

Its interceptors go outside the mesh's, and are shown only those methods: policies are per method, interceptors per
channel or server. What they leave open on the way (as of 0.66b2) is closed here:

- the client's span of a call that fails in an inner interceptor, or is cancelled, is never ended;
- the server's wrapper awaits nothing of handlers that answer a stream with `context.write()`, as the mesh's do.

A stream of responses that a client never reads to its end still keeps its span open; the native engine ends those too.

Nothing of the package is imported before it is asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mesh.errors import ConfigError
from mesh.policy.problem import Problem
from mesh.telemetry.package import installed
from mesh.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    import grpc.aio

PACKAGE = "opentelemetry.instrumentation.grpc"

Selects = Callable[[str], bool]
"""Whether the policy of `/package.Service/Method` leaves its spans to the package; asked at each call."""


def require(path: str) -> None:
    """Raise ConfigError unless the package is installed; `path` is where it was asked for."""
    if not installed(PACKAGE):
        message = (
            'trace.engine: "TRACE_ENGINE_OTEL_INSTRUMENTATION" needs opentelemetry-instrumentation-grpc, '
            "which is not installed; pip install 'grpc-mesh[tracing]'"
        )
        raise ConfigError([Problem(path, message)])


def otel_client_interceptors(telemetry: Telemetry, selects: Selects) -> list[grpc.aio.ClientInterceptor]:
    """Return the package's interceptors for a grpc.aio channel, to be put before the mesh's.

    Raises ConfigError when the package is not installed.
    """
    require("")
    from opentelemetry.instrumentation.grpc import aio_client_interceptors

    interceptors: list[Any] = aio_client_interceptors(telemetry.tracing.provider, _filter(telemetry, selects))
    return [_ending(interceptor) for interceptor in interceptors]


def otel_server_interceptors(telemetry: Telemetry, selects: Selects) -> list[grpc.aio.ServerInterceptor]:
    """Return the package's interceptor for a grpc.aio server, to be put before the mesh's.

    Raises ConfigError when the package is not installed.
    """
    require("")
    from opentelemetry.instrumentation.grpc import aio_server_interceptor

    return [_writing(aio_server_interceptor(telemetry.tracing.provider, _filter(telemetry, selects)))]


def _filter(telemetry: Telemetry, selects: Selects) -> Callable[[Any], bool]:
    """Build the package's filter: our policy as it is at each call, and what the native engine honours too."""
    selected: dict[str, bool] = {}

    def traced(details: Any) -> bool:
        method = details.method
        if isinstance(method, bytes):  # https://github.com/grpc/grpc/issues/31092
            method = method.decode()
        if not selects(method):
            return False
        if method not in selected:
            selected[method] = telemetry.selection.selects(method)
        return selected[method]

    return traced


def _ending(interceptor: Any) -> Any:
    """Have the spans of calls without a stream of responses end when the interceptor raises."""
    wrap = interceptor._wrap_unary_response  # noqa: SLF001 - there is no public place

    async def wrap_unary_response(continuation: Any, span: Any) -> Any:
        ended = False
        try:
            call = await wrap(continuation, span)
            ended = True
            return call
        finally:
            if not ended and span.is_recording():
                span.end()

    interceptor._wrap_unary_response = wrap_unary_response  # noqa: SLF001 - as above
    return interceptor


def _writing(interceptor: Any) -> Any:
    """Have handlers that write their stream of responses awaited, as those with one response are."""
    stream, unary = interceptor._intercept_aio_server_stream, interceptor._intercept_aio_server_unary  # noqa: SLF001 - there is no public place

    def intercept(behavior: Any, details: Any) -> Any:
        return (unary if inspect.iscoroutinefunction(behavior) else stream)(behavior, details)

    interceptor._intercept_aio_server_stream = intercept  # noqa: SLF001 - as above
    return interceptor
