"""A mesh channel behind an application's own interceptors, which grpc.aio runs as on any channel, once a call.

Where they end, at grpc's own call, ours begins instead. grpc.aio tells its last interceptor the method's name but not how
its messages become bytes, so the multicallable that a stub has called is carried there in the call's context.
"""

from __future__ import annotations

import contextvars
from collections.abc import Sequence
from typing import Any, Final

import grpc.aio

from mesh.binding.channel_aio import Channel, Closing
from mesh.binding.destination import Destination, Messages, Pick
from mesh.binding.multicallable_aio import Method
from mesh.call import Arity

_CALLED: Final[contextvars.ContextVar[Method]] = contextvars.ContextVar("mesh_called_method")


class InterceptedChannel(Channel):
    """Calls pass the interceptors of `front`, whose last ones are `onward()`; nothing is ever sent on `front`."""

    def __init__(
        self,
        home: Destination,
        front: grpc.aio.Channel,
        *,
        pick: Pick | None = None,
        beside: Closing | None = None,
    ) -> None:
        super().__init__(home, pick=pick, beside=beside)
        self._front = front

    def _method(self, arity: Arity, method: str, messages: Messages) -> Any:
        inner = super()._method(arity, method, messages)
        return _Intercepted(inner, getattr(self._front, arity.value)(method))

    async def close(self, grace: float | None = None) -> None:
        await super().close(grace)
        await self._front.close()


class _Intercepted:
    """What a stub calls: grpc's multicallable, whose interceptors will find ours."""

    def __init__(self, inner: Method, front: Any) -> None:
        self._inner = inner
        self._front = front

    def __call__(self, *messages: Any, **options: Any) -> Any:
        # grpc.aio runs the interceptors in a task made now, which keeps a copy of this context.
        before = _CALLED.set(self._inner)
        try:
            return self._front(*messages, **options)
        finally:
            _CALLED.reset(before)


def onward() -> Sequence[grpc.aio.ClientInterceptor]:
    """Return the interceptors that end grpc's path and begin the mesh's."""
    return _UnaryUnary(), _UnaryStream(), _StreamUnary(), _StreamStream()


def _call(details: grpc.aio.ClientCallDetails, message: Any) -> Any:
    name: str | bytes = details.method  # the stubs say str; grpc.aio hands out bytes in places
    method: Any = _CALLED.get().named(name.decode() if isinstance(name, bytes) else name)
    return method(
        message,
        timeout=details.timeout,
        metadata=details.metadata,
        credentials=details.credentials,
        wait_for_ready=details.wait_for_ready,
    )


class _UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:  # noqa: ARG002 - grpc's signature
        return _call(client_call_details, request)


class _UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:  # noqa: ARG002 - as above
        return _call(client_call_details, request)


class _StreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self,
        continuation: Any,  # noqa: ARG002 - as above
        client_call_details: Any,
        request_iterator: Any,
    ) -> Any:
        return _call(client_call_details, request_iterator)


class _StreamStream(grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(
        self,
        continuation: Any,  # noqa: ARG002 - as above
        client_call_details: Any,
        request_iterator: Any,
    ) -> Any:
        return _call(client_call_details, request_iterator)
