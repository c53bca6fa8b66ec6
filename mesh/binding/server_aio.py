"""The fused server interceptor for grpc.aio: each handler is wrapped once, each call runs its method's chain.

`intercept_service` runs for every RPC; the wrapped handler is kept by method name, which skips both the wrapping and
grpc's own look-up. That is right while a server's handlers do not change, and grpc.aio's cannot after `start()`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio

from mesh import engine
from mesh.binding import drive_aio
from mesh.binding.status import STATUS, number_of
from mesh.call import CURRENT, Arity, Attempt, Call, Outcome
from mesh.chain import Chains

_log = logging.getLogger("mesh")

_FOREVER: Final = 1e9
"""`time_remaining()` of a call without a deadline is None or about 9.2e18 seconds, by version of grpcio."""

_LATE: Final = Outcome(4, "the server's time limit for this method passed")


INFRASTRUCTURE: Final = ("/grpc.health.v1.", "/grpc.reflection.")
"""Methods that serve the mesh itself: they must answer when limits are reached, and are nobody's traffic."""


class ServerInterceptor(grpc.aio.ServerInterceptor):
    """Runs every call of a server through the chains."""

    def __init__(self, chains: Chains) -> None:
        self._chains = chains
        self._wrapped: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        method = handler_call_details.method
        wrapped = self._wrapped.get(method)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            if method.startswith(INFRASTRUCTURE):
                return handler
            wrapped = self._wrapped[method] = self._wrap(method, handler)
        return wrapped

    def _wrap(self, method: str, handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        arity = Arity(
            f"{'stream' if handler.request_streaming else 'unary'}_"
            f"{'stream' if handler.response_streaming else 'unary'}"
        )
        behaviour = getattr(handler, arity.value)
        if not (_is_coroutine_function(behaviour) or inspect.isasyncgenfunction(_plain(behaviour))):
            _log.error("%s is a plain function; on a grpc.aio server the mesh needs `async def`", method)
            body: Callable[[Any, Any], Awaitable[Any]] = _refuse
        elif inspect.isasyncgenfunction(_plain(behaviour)):
            body = self._handler(method, arity, _write_all(behaviour))
        else:
            body = self._handler(method, arity, behaviour)
        make = getattr(grpc, f"{arity.value}_rpc_method_handler")
        wrapped: grpc.RpcMethodHandler[Any, Any] = make(
            body,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        return wrapped

    def _handler(
        self, method: str, arity: Arity, behaviour: Callable[[Any, Any], Awaitable[Any]]
    ) -> Callable[[Any, Any], Awaitable[Any]]:
        chains = self._chains

        async def handle(request: Any, context: Any) -> Any:
            left = context.time_remaining()
            if left is not None and left >= _FOREVER:
                left = None
            call = Call(
                method,
                arity,
                metadata=context.invocation_metadata() or (),
                timeout=left,
                peer=context.peer,
            )
            CURRENT.set(call)

            async def attempt(effect: Attempt) -> Outcome:
                limit, deadline = effect.timeout, call.deadline
                # grpc's core watches the caller's deadline; an earlier one is ours to watch.
                if (
                    limit is None
                    or deadline is None
                    or (left is not None and deadline >= call.started + left)
                ):
                    return await _once(behaviour, request, context)
                return await _within(limit, behaviour, request, context)

            flow = engine.run(chains.find(method, arity), call, chains.clock, chains.random)
            try:
                outcome = await drive_aio.unary(flow, attempt)
            finally:
                # A task that the handler leaves behind works for nobody who waits: it inherits no deadline any more.
                call.deadline = None
            if outcome.rejected_by or outcome is _LATE or outcome is engine.EXPIRED:
                trailing = (*outcome.trailing, *call.trailing)
                await context.abort(STATUS[outcome.code], outcome.details, trailing)
            if call.trailing:
                context.set_trailing_metadata((*(context.trailing_metadata() or ()), *call.trailing))
            if outcome.error is not None:
                raise outcome.error
            return outcome.value

        return handle


async def _once(behaviour: Callable[[Any, Any], Awaitable[Any]], request: Any, context: Any) -> Outcome:
    try:
        value = await behaviour(request, context)
    except Exception as error:  # noqa: BLE001 - whatever a handler raises is an outcome; it is raised again after settling
        return Outcome(number_of(context.code()) or 2, context.details() or str(error), error=error)
    return Outcome(number_of(context.code()), value=value)


async def _within(
    seconds: float, behaviour: Callable[[Any, Any], Awaitable[Any]], request: Any, context: Any
) -> Outcome:
    """Cancel the handler when our limit, shorter than the wire's, passes."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await _once(behaviour, request, context)
    except TimeoutError:
        if not limit.expired():
            raise
        return _LATE


def _write_all(behaviour: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Awaitable[None]]:
    """Turn an async generator handler into one that writes: one generator less on each message's path."""

    async def write(request: Any, context: Any) -> None:
        async with contextlib.aclosing(behaviour(request, context)) as messages:
            async for message in messages:
                await context.write(message)

    return write


async def _refuse(request: Any, context: Any) -> None:  # noqa: ARG001 - grpc's signature
    await context.abort(
        grpc.StatusCode.UNIMPLEMENTED, "the handler is a plain function; a grpc.aio server needs `async def`"
    )


def _plain(behaviour: Any) -> Any:
    """Return the function behind a handler: itself, what a partial is of, or an object's `__call__`."""
    while isinstance(behaviour, functools.partial):
        behaviour = behaviour.func
    if inspect.isfunction(behaviour) or inspect.ismethod(behaviour):
        return behaviour
    return type(behaviour).__call__


def _is_coroutine_function(behaviour: Any) -> bool:
    return inspect.iscoroutinefunction(_plain(behaviour))


def interceptors(chains: Chains) -> list[grpc.aio.ServerInterceptor]:
    """Return the interceptor that runs the chains on a grpc.aio server."""
    return [ServerInterceptor(chains)]
