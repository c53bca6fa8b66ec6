"""The fused server interceptor for plain grpc: each handler is wrapped once, each call runs its method's chain.

A handler's thread cannot be interrupted. So a call is settled when its handler comes back, not when its client goes
away: until then the thread is taken, and a concurrency limit that said otherwise would let in more than there are
threads. A limit of ours that is shorter than the caller's is enforced when the handler comes back, and between the
messages of a response stream: what comes late is DEADLINE_EXCEEDED to the client, whatever it is. Calls that the
handler makes meanwhile inherit the limit, and do end in time.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import grpc

from mesh import engine
from mesh.binding import drive_sync
from mesh.binding.drive_sync import Step, Turns
from mesh.binding.handler import FOREVER, INFRASTRUCTURE, LATE, arity_of, plain
from mesh.binding.hearing import Ear, listen
from mesh.binding.status import STATUS, number_of
from mesh.call import ABANDONED, COMMIT, CURRENT, Arity, Attempt, Call, Outcome
from mesh.chain import Chains

_log = logging.getLogger("mesh")

Behaviour = Callable[[Any, Any], Any]


class _RefusedMessageError(Exception):
    """A stage refused a message of the client's stream; raised where the handler reads it."""


class _Handling:
    """One call on its way through the chain and the handler."""

    __slots__ = (
        "_clock",
        "_ear",
        "_left",
        "_turns",
        "call",
        "context",
        "error",
        "flow",
        "value",
    )

    def __init__(
        self, chains: Chains, turns: Turns, method: str, arity: Arity, request: Any, context: Any
    ) -> None:
        left = context.time_remaining()
        self._left = None if left is None or left >= FOREVER else left
        self.context = context
        self.call = call = Call(
            method,
            arity,
            metadata=tuple(context.invocation_metadata() or ()),
            timeout=self._left,
            peer=context.peer,
            auth=context.auth_context,
        )
        self._clock = chains.clock
        self._turns = turns
        self.error: Exception | None = None
        """What the handler raised."""
        self.value: Any = None
        """What it returned."""
        chain = chains.find(method, arity)
        self.flow = engine.run(chain, call, chains.clock, chains.random)
        self._ear: Ear | None = None
        if chain.listens:
            self._ear = Ear(chain, call, chains.clock)
            self.flow = listen(self.flow, self._ear, request, client=False)
        CURRENT.set(call)

    def leave(self) -> None:
        """Let go of the thread, which serves other calls next."""
        # A thread that the handler leaves behind works for nobody who waits: it inherits no deadline any more.
        self.call.deadline = None
        CURRENT.set(None)

    # What the handler does

    def requests(self, request: Any) -> Any:
        """Return the request, or requests, as the handler gets them."""
        if self._ear is None or not self.call.arity.request_streams:
            return request
        return self._heard(self._ear, request)

    def _heard(self, ear: Ear, requests: Iterator[Any]) -> Iterator[Any]:
        for message in requests:
            if self._turns.take(ear.received, message) is not None:
                raise _RefusedMessageError
            yield message

    def sends(self, message: Any) -> bool:
        """Whether a message of a stream of responses may go out; otherwise the stream ends."""
        if self._is_late:
            return False
        return self._ear is None or self._turns.take(self._ear.sent, message) is None

    @property
    def _is_late(self) -> bool:
        deadline = self.call.deadline
        # grpc's core watches the caller's deadline; an earlier one is ours to watch.
        if deadline is None or (self._left is not None and deadline >= self.call.started + self._left):
            return False
        return self._clock() >= deadline

    # How it ends

    def outcome(self) -> Outcome:
        """Return how the handler's work ended."""
        if not self.context.is_active():
            return ABANDONED  # the engine knows whether the deadline passed
        if self._is_late:
            return LATE
        code = number_of(self.context.code())
        if self.error is not None:
            return Outcome(code or 2, _text(self.context.details()) or str(self.error), error=self.error)
        return Outcome(code, _text(self.context.details()) if code else "", value=self.value)

    def conclude(self, outcome: Outcome) -> Any:
        """Tell the client how the call ended; return the response if there is one."""
        context, call = self.context, self.call
        refused = self._ear is not None and self._ear.verdict is not None
        if outcome.rejected_by or outcome is LATE or outcome is engine.EXPIRED or refused:
            trailing = (*outcome.trailing, *call.trailing)
            if trailing:
                context.set_trailing_metadata(trailing)  # unlike grpc.aio's, abort does not take it
            context.abort(STATUS[outcome.code], outcome.details)
        if call.trailing:
            context.set_trailing_metadata((*(context.trailing_metadata() or ()), *call.trailing))
        if self.error is not None:
            raise self.error  # the same object: grpc tells by it what is its own
        return self.value

    def __repr__(self) -> str:
        return f"<Handling of {self.call!r}>"


class ServerInterceptor(grpc.ServerInterceptor):
    """Runs every call of a server through the chains."""

    def __init__(self, chains: Chains, turns: Turns) -> None:
        self._chains = chains
        self._turns = turns
        self._wrapped: dict[str, Any] = {}

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        method = handler_call_details.method
        wrapped = self._wrapped.get(method)
        if wrapped is None:
            handler = continuation(handler_call_details)
            if handler is None or method.startswith(INFRASTRUCTURE):
                return handler
            wrapped = self._wrapped[method] = self._wrap(method, handler)
        return wrapped

    def _wrap(self, method: str, handler: Any) -> Any:
        arity = arity_of(handler)
        behaviour = getattr(handler, arity.value)
        refusal = _unfit(behaviour)
        if refusal:
            _log.error("%s: %s", method, refusal)
            body = _refuse(refusal)
        elif arity.response_streams:
            body = self._stream(method, arity, behaviour)
        else:
            body = self._unary(method, arity, behaviour)
        pool = getattr(behaviour, "experimental_thread_pool", None)
        if pool is not None:
            body.experimental_thread_pool = pool  # type: ignore[attr-defined]  # grpc looks for it on functions
        return getattr(grpc, f"{arity.value}_rpc_method_handler")(
            body,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _unary(self, method: str, arity: Arity, behaviour: Behaviour) -> Behaviour:
        chains, turns = self._chains, self._turns

        def handle(request: Any, context: Any) -> Any:
            handling = _Handling(chains, turns, method, arity, request, context)

            def attempt(_: Attempt) -> Outcome:
                try:
                    handling.value = behaviour(handling.requests(request), context)
                except Exception as error:  # noqa: BLE001 - whatever a handler raises is an outcome; it is raised again after settling
                    handling.error = error
                return handling.outcome()

            try:
                outcome = drive_sync.unary(turns, handling.flow, attempt)
            finally:
                handling.leave()
            return handling.conclude(outcome)

        return handle

    def _stream(self, method: str, arity: Arity, behaviour: Behaviour) -> Behaviour:
        chains, turns = self._chains, self._turns

        def handle(request: Any, context: Any) -> Iterator[Any]:
            handling = _Handling(chains, turns, method, arity, request, context)
            step: Step = COMMIT
            try:
                step = turns.advance(handling.flow, None)
                while type(step) is not Outcome:
                    answer = None
                    if type(step) is Attempt:
                        answer = yield from _messages(handling, behaviour, request)
                    else:
                        time.sleep(step.seconds)  # type: ignore[union-attr]  # a Sleep: servers neither race nor commit
                    step = turns.advance(handling.flow, answer)
            finally:
                handling.leave()
                if type(step) is not Outcome:
                    turns.drop(handling.flow)  # grpc let go of this generator: its client has gone away
            handling.conclude(step)

        return handle


def _messages(handling: _Handling, behaviour: Behaviour, request: Any) -> Generator[Any, None, Outcome]:
    """Yield what the handler does, and return how it ended; the handler is closed when nobody listens any more."""
    messages: Any = None
    try:
        messages = behaviour(handling.requests(request), handling.context)
        for message in messages:
            if not handling.sends(message):
                break
            yield message
    except Exception as error:  # noqa: BLE001 - as in `attempt`
        handling.error = error
    finally:
        if hasattr(messages, "close"):
            messages.close()
    return handling.outcome()


def _unfit(behaviour: Any) -> str:
    """Say why a handler cannot be served by plain grpc through the mesh; nothing when it can."""
    function = plain(behaviour)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "the handler is `async def`; a grpc server needs a plain function"
    if getattr(behaviour, "experimental_non_blocking", False):
        return "the handler is experimental_non_blocking, which the mesh does not serve"
    return ""


def _refuse(details: str) -> Behaviour:
    def refuse(request: Any, context: Any) -> None:  # noqa: ARG001 - grpc's signature
        context.abort(grpc.StatusCode.UNIMPLEMENTED, details)

    return refuse


def _text(details: bytes | str | None) -> str:
    """Return a servicer context's details, which grpc keeps encoded."""
    if isinstance(details, bytes):
        return details.decode("utf-8", "replace")
    return details or ""
