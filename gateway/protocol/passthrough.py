"""How native gRPC calls reach the methods that REST reaches: bytes in, bytes out, with the same metadata rules.

Whoever answers is looked up at each call, so that a schema that is swapped is followed here too.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import grpc
import grpc.aio

from gateway.blueprint import Blueprint
from gateway.composed import answer_composed
from gateway.edge.header import matcher
from gateway.protocol.passage import Passage
from gateway.protocol.target import ARITIES
from mesh.binding.direct import Reply
from mesh.binding.handler import FOREVER
from mesh.binding.status import STATUS
from mesh.call import CURRENT, Arity, Call, Code, Metadata, Outcome
from mesh.stage.detail import STATUS_DETAILS

if TYPE_CHECKING:
    from gateway.app import Gateway
    from gateway.live import Live

_REQUEST_ID: Final = "x-request-id"
_CANCELLED: Final = int(Code.CANCELLED)

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"


def exposed(blueprint: Blueprint) -> Mapping[str, Arity]:
    """Return the methods that every protocol reaches: those with a route, and the composed ones."""
    methods = {
        binding.full_method: ARITIES[binding.method.client_streaming, binding.method.server_streaming]
        for binding in blueprint.table.bindings
    }
    return {**dict.fromkeys(blueprint.plans, Arity.UNARY_UNARY), **methods}


class Passthrough(grpc.GenericRpcHandler):
    """Serves the exposed methods of a gateway, whatever they are at the moment."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._methods: dict[str, _Method] = {}
        settings = gateway.live.blueprint.settings
        rules = _Rules(settings.forward_headers, settings.return_headers, settings.request_timeout)
        self._rules = rules
        self._known: tuple[object, Mapping[str, Arity]] = (None, {})

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler of a method; of one that is not exposed none, which gRPC answers with UNIMPLEMENTED."""
        name = handler_call_details.method
        arity = self.exposed.get(name)
        return None if arity is None else self.handler(name, arity)

    def handler(self, name: str, arity: Arity) -> grpc.RpcMethodHandler[Any, Any]:
        """Return what serves one method."""
        method = _Method(self, self._gateway, self._rules, name, arity)
        make: Any = getattr(grpc, f"{arity.value}_rpc_method_handler")
        handler: grpc.RpcMethodHandler[Any, Any] = make(getattr(method, arity.value))
        return handler

    @property
    def exposed(self) -> Mapping[str, Arity]:
        """The methods, by full name, of the schema that is live."""
        live = self._gateway.live
        if self._known[0] is not live:
            self._known = live, exposed(live.blueprint)
        return self._known[1]

    def __repr__(self) -> str:
        return f"<Passthrough {len(self.exposed)} methods>"


class _Rules:
    """What passes, and for how long at most."""

    __slots__ = ("forwards", "returns", "returns_any", "timeout")

    def __init__(self, forward: tuple[str, ...], back: tuple[str, ...], timeout: float) -> None:
        self.forwards: Callable[[str], bool] = matcher(forward)
        self.returns: Callable[[str], bool] = matcher(back)
        self.returns_any = bool(back)
        self.timeout = timeout


class _Method:
    """Serves one method, each kind of method by the member of its arity's name."""

    def __init__(self, owner: Passthrough, gateway: Gateway, rules: _Rules, name: str, arity: Arity) -> None:
        self._owner = owner
        self._gateway = gateway
        self._rules = rules
        self._name = name
        self._arity = arity

    async def unary_unary(self, wire: bytes, context: Context) -> bytes:
        live = await self._find(context)
        plan = live.blueprint.plans.get(self._name)
        passage, metadata, parent = self._enter(live, context)
        passage.read_bytes = len(wire)
        try:
            timeout = self._limit(parent, context)
            if plan is not None:
                outcome = await answer_composed(
                    plan, live.backends, wire, deadline=parent.deadline, metadata=metadata, parent=parent
                )
                return await self._close(passage, context, Reply(outcome))
            direct = live.backends.find(self._name)
            call = direct.reply if self._rules.returns_any else direct.unary
            reply = await call(self._name, wire, timeout=timeout, metadata=metadata, parent=parent)
            return await self._close(passage, context, reply if isinstance(reply, Reply) else Reply(reply))
        finally:
            self._gateway.leave(passage)

    async def unary_stream(self, wire: bytes, context: Context) -> None:
        await self._relay(wire, context)

    async def stream_stream(self, requests: AsyncIterator[bytes], context: Context) -> None:
        await self._relay(requests, context)

    async def stream_unary(self, requests: AsyncIterator[bytes], context: Context) -> bytes | None:
        return await self._relay(requests, context)

    # What all of them do

    async def _find(self, context: Context) -> Live:
        """Return the schema that is live, if it has this method still."""
        if self._owner.exposed.get(self._name) is not self._arity:
            # In the words of gRPC's core for a method that never was.
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        return self._gateway.live

    def _enter(self, live: Live, context: Context) -> tuple[Passage, Metadata, Call]:
        rules = self._rules
        given: Any = context.invocation_metadata() or ()
        asked = ""
        metadata: list[tuple[str, str | bytes]] = []
        for key, value in given:
            if key == _REQUEST_ID:
                asked = value
            elif rules.forwards(key):
                metadata.append((key, value))
        request_id = self._gateway.name_request(asked)
        if rules.forwards(_REQUEST_ID):
            metadata.append((_REQUEST_ID, request_id))
        passage = Passage(self._name, request_id, context.peer(), live, time.monotonic())
        # Until the call says how it ended it was cancelled, by whoever stopped waiting for it.
        passage.code = _CANCELLED
        self._gateway.enter(passage)
        # The call of the mesh's server, which made it in this task: its trace and its deadline are the backends' too.
        return passage, tuple(metadata), CURRENT.get() or Call(self._name, self._arity)

    def _limit(self, parent: Call, context: Context) -> float | None:
        """Give a call that ends the deadline that REST would give it; return the seconds its client allows."""
        left, most = _left(context), self._rules.timeout
        parent.hurried = left is not None and left < most
        until = time.monotonic() + (most if left is None else min(left, most))
        parent.deadline = until if parent.deadline is None else min(parent.deadline, until)
        return left

    async def _relay(self, requests: bytes | AsyncIterator[bytes], context: Context) -> bytes | None:
        """Carry a call of which at least one side is a stream; return the response that is alone on its side."""
        live = await self._find(context)
        passage, metadata, parent = self._enter(live, context)
        alone = None
        stream = None
        try:
            if isinstance(requests, bytes):
                passage.read_bytes = len(requests)
            else:
                requests = _count(requests, passage)
            stream = await live.backends.find(self._name).open(
                self._name,
                requests,
                arity=self._arity,
                timeout=_left(context),
                metadata=metadata,
                parent=parent,
            )
            if self._rules.returns_any:
                await self._send_initial(context, await stream.initial_metadata())
            async for message in stream:
                passage.sent_bytes += len(message)
                if self._arity.response_streams:
                    await context.write(message)
                else:
                    alone = message
            if stream.outcome is not None:
                await self._end(passage, context, stream.outcome)
            return alone
        finally:
            if stream is not None:
                stream.cancel()
            self._gateway.leave(passage)

    async def _close(self, passage: Passage, context: Context, reply: Reply) -> bytes:
        await self._send_initial(context, reply.initial)
        await self._end(passage, context, reply.outcome)
        value: bytes = reply.outcome.value
        passage.sent_bytes = len(value)
        return value

    async def _send_initial(self, context: Context, initial: Metadata) -> None:
        shown = self._returned(initial)
        if shown:
            await context.send_initial_metadata(shown)

    async def _end(self, passage: Passage, context: Context, outcome: Outcome) -> None:
        passage.code = outcome.code
        shown = self._returned(outcome.trailing)
        if outcome.code == 0:
            if shown:
                context.set_trailing_metadata(shown)
            return
        passage.error = outcome.details
        details = tuple((key, value) for key, value in outcome.trailing if key == STATUS_DETAILS)
        await context.abort(STATUS[outcome.code], outcome.details, (*shown, *details))

    def _returned(self, metadata: Metadata) -> Metadata:
        if not self._rules.returns_any:
            return ()
        return tuple((key, value) for key, value in metadata if self._rules.returns(key))

    def __repr__(self) -> str:
        return f"<_Method {self._name} {self._arity.value}>"


def _left(context: Context) -> float | None:
    left = context.time_remaining()
    return None if left is None or left >= FOREVER else left


async def _count(requests: AsyncIterator[bytes], passage: Passage) -> AsyncIterator[bytes]:
    async for request in requests:
        passage.read_bytes += len(request)
        yield request
