"""The chains of a grpc.aio server: each handler is wrapped once, each call runs its method's chain.

`Handlers.service` is asked for every RPC; the wrapped handler is kept by method name, which skips both the wrapping and
the look-up. That is right while a server's handlers do not change, and grpc.aio's cannot after `start()`.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
import grpc.aio

from mesh import engine
from mesh.binding.handler import FOREVER, INFRASTRUCTURE, LATE, arity_of, plain
from mesh.binding.hearing_aio import hear
from mesh.binding.status import STATUS, number_of
from mesh.call import CURRENT, Arity, Attempt, Call, Outcome
from mesh.chain import Chains

_log = logging.getLogger("mesh")


class Handlers(grpc.GenericRpcHandler):
    """The handlers of a server, each wrapped once, and asked for by grpc at each call.

    A call's object is made here and taken up by its handler, which runs in the same task: here its metadata is at hand,
    there it would have to be converted again.
    """

    def __init__(self, chains: Chains, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self._chains = chains
        self._handlers = tuple(handlers)
        self._wrapped: dict[str, tuple[grpc.RpcMethodHandler[Any, Any], Arity]] = {}

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        method = handler_call_details.method
        known = self._wrapped.get(method)
        if known is not None:
            CURRENT.set(Call(method, known[1], metadata=handler_call_details.invocation_metadata))
            return known[0]
        for each in self._handlers:
            handler = each.service(handler_call_details)
            if handler is not None:
                return self.wrap(method, handler)
        return None

    def wrap(self, method: str, handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler as it is to run from now on."""
        if method.startswith(INFRASTRUCTURE):
            return handler
        arity = arity_of(handler)
        behaviour = getattr(handler, arity.value)
        if not (_is_coroutine_function(behaviour) or inspect.isasyncgenfunction(plain(behaviour))):
            _log.error("%s is a plain function; on a grpc.aio server the mesh needs `async def`", method)
            body: Callable[[Any, Any], Awaitable[Any]] = _refuse
        elif inspect.isasyncgenfunction(plain(behaviour)):
            body = self._handler(method, arity, _write_all(behaviour))
        else:
            body = self._handler(method, arity, behaviour)
        make = getattr(grpc, f"{arity.value}_rpc_method_handler")
        wrapped: grpc.RpcMethodHandler[Any, Any] = make(
            body,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        self._wrapped[method] = wrapped, arity
        return wrapped

    def _handler(
        self, method: str, arity: Arity, behaviour: Callable[[Any, Any], Awaitable[Any]]
    ) -> Callable[[Any, Any], Awaitable[Any]]:
        chains = self._chains
        find, clock, random = chains.find, chains.clock, chains.random

        async def handle(request: Any, context: Any) -> Any:
            call = CURRENT.get()
            # Not ours to take up: an interceptor kept the handler, or runs it twice or in a task of its own.
            if call is None or call.started or call.method != method:
                call = Call(method, arity, metadata=context.invocation_metadata() or ())
                CURRENT.set(call)
            left = context.time_remaining()
            if left is not None and left >= FOREVER:
                left = None
            call.timeout = left
            call.ask_peer, call.ask_auth = context.peer, context.auth_context
            chain = find(method, arity)
            flow = engine.run(chain, call, clock, random)
            body = behaviour
            if chain.listens:
                flow, body = hear(chain, call, clock, flow, request, behaviour)
            # drive_aio.unary written out: three coroutines and a closure less for each call.
            try:
                effect = next(flow)
                while True:
                    if type(effect) is Attempt:
                        limit, deadline = effect.timeout, call.deadline
                        # grpc's core watches the caller's deadline; an earlier one is ours to watch.
                        if (
                            limit is not None
                            and deadline is not None
                            and (left is None or deadline < call.started + left)
                        ):
                            outcome = await _within(limit, body, request, context)
                        else:
                            try:
                                value = await body(request, context)
                            except Exception as error:  # noqa: BLE001 - whatever a handler raises is an outcome
                                outcome = _raised(error, context)
                            else:
                                code = context.code()
                                outcome = Outcome(number_of(code) if code else 0, "", value)
                        effect = flow.send(outcome)
                    else:
                        await asyncio.sleep(effect.seconds)  # type: ignore[union-attr]  # servers never COMMIT
                        effect = next(flow)
            except StopIteration as stop:
                outcome = stop.value
            finally:
                flow.close()
                # A task that the handler leaves behind works for nobody who waits: it inherits no deadline any more.
                call.deadline = None
            if outcome.rejected_by or outcome is LATE or outcome is engine.EXPIRED:
                trailing = (*outcome.trailing, *call.trailing)
                await context.abort(STATUS[outcome.code], outcome.details, trailing)
            if call.trailing:
                context.set_trailing_metadata((*(context.trailing_metadata() or ()), *call.trailing))
            if outcome.error is not None:
                raise outcome.error
            return outcome.value

        return handle


def _raised(error: Exception, context: Any) -> Outcome:
    """Return how a handler's exception ends its call; it is raised again once the stages have settled."""
    return Outcome(number_of(context.code()) or 2, context.details() or str(error), error=error)


async def _within(
    seconds: float, behaviour: Callable[[Any, Any], Awaitable[Any]], request: Any, context: Any
) -> Outcome:
    """Cancel the handler when our limit, shorter than the wire's, passes."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            value = await behaviour(request, context)
    except TimeoutError as error:
        return LATE if limit.expired() else _raised(error, context)
    except Exception as error:  # noqa: BLE001 - as above
        return _raised(error, context)
    return Outcome(number_of(context.code()), value=value)


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


def _is_coroutine_function(behaviour: Any) -> bool:
    return inspect.iscoroutinefunction(plain(behaviour))


class ServerInterceptor(grpc.aio.ServerInterceptor):
    """Runs every call of somebody else's server through the chains."""

    def __init__(self, chains: Chains) -> None:
        self._handlers = Handlers(chains, ())

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        wrapped = self._handlers.service(handler_call_details)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            wrapped = None if handler is None else self._handlers.wrap(handler_call_details.method, handler)
        return wrapped
