"""The fused client interceptor for grpc.aio: one object of each kind, all running the same chains.

Four objects, because grpc.aio.Channel sorts interceptors by `if/elif isinstance`: one class implementing all four
kinds would be registered for unary-unary only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc.aio

from mesh import engine
from mesh.binding import drive_aio
from mesh.binding.status import outcome_of, rpc_error
from mesh.binding.stream_aio import Start, StreamHandle, StreamStreamHandle, UnaryStreamHandle
from mesh.binding.unary_aio import StreamUnaryHandle
from mesh.call import CURRENT, Arity, Attempt, Call, Outcome
from mesh.chain import Chains

_OK: Final = Outcome(0)
"""The answer itself stays in grpc's call, so one outcome does for all."""

Continuation = Callable[[grpc.aio.ClientCallDetails, Any], Awaitable[Any]]


class _Client:
    """What the four kinds share."""

    def __init__(self, chains: Chains) -> None:
        self._chains = chains

    def _begin(
        self, details: grpc.aio.ClientCallDetails, arity: Arity, *, replayable: bool
    ) -> tuple[Call, engine.Flow]:
        method: str | bytes = details.method  # the stubs say str; grpc.aio hands out bytes in places
        if isinstance(method, bytes):
            method = method.decode()
        chains = self._chains
        call = Call(
            method,
            arity,
            metadata=details.metadata or (),  # type: ignore[arg-type]  # pairs, like ours
            timeout=details.timeout,
            parent=CURRENT.get(),
            replayable=replayable,
        )
        return call, engine.run(chains.find(method, arity), call, chains.clock, chains.random)

    async def _stream(
        self,
        continuation: Continuation,
        details: grpc.aio.ClientCallDetails,
        request: Any,
        arity: Arity,
        handle: type[StreamHandle],
    ) -> Any:
        flow, start = self._starter(continuation, details, request, arity)
        stream = handle(flow, start)
        await stream.begin()
        return stream

    def _starter(
        self, continuation: Continuation, details: grpc.aio.ClientCallDetails, request: Any, arity: Arity
    ) -> tuple[engine.Flow, Start]:
        # A lone request is no stream; of streams, only what can be iterated twice can be sent twice.
        replayable = arity is Arity.UNARY_STREAM or isinstance(request, list | tuple)
        call, flow = self._begin(details, arity, replayable=replayable)

        async def start(effect: Attempt) -> Any:
            return await continuation(_details(details, call, effect), request)

        return flow, start


def _details(details: grpc.aio.ClientCallDetails, call: Call, attempt: Attempt) -> grpc.aio.ClientCallDetails:
    metadata = details.metadata
    if call.outgoing:
        metadata = grpc.aio.Metadata(*(metadata or ()), *call.outgoing)
    return grpc.aio.ClientCallDetails(
        details.method, attempt.timeout, metadata, details.credentials, details.wait_for_ready
    )


class UnaryUnary(_Client, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        call, flow = self._begin(client_call_details, Arity.UNARY_UNARY, replayable=True)
        wire: Any = None

        async def attempt(effect: Attempt) -> Outcome:
            nonlocal wire
            wire = await continuation(_details(client_call_details, call, effect), request)
            try:
                # The call, never its code(): cancelling a task that waits for code() leaves the server running.
                await wire
            except grpc.aio.AioRpcError as error:
                return outcome_of(error)
            return _OK

        outcome = await drive_aio.unary(flow, attempt)
        if wire is None or outcome.rejected_by or (outcome.code and outcome.error is None):
            raise rpc_error(outcome)
        return wire  # a real call, of the attempt that decided: its metadata and trailers are the truth


class UnaryStream(_Client, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._stream(
            continuation, client_call_details, request, Arity.UNARY_STREAM, UnaryStreamHandle
        )


class StreamUnary(_Client, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        flow, start = self._starter(continuation, client_call_details, request_iterator, Arity.STREAM_UNARY)
        return StreamUnaryHandle(flow, start)


class StreamStream(_Client, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return await self._stream(
            continuation, client_call_details, request_iterator, Arity.STREAM_STREAM, StreamStreamHandle
        )


def interceptors(chains: Chains) -> list[grpc.aio.ClientInterceptor]:
    """Return the four interceptors that run the chains on a grpc.aio channel."""
    return [kind(chains) for kind in (UnaryUnary, UnaryStream, StreamUnary, StreamStream)]
