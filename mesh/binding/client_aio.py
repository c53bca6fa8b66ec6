"""The fused client interceptor for grpc.aio: one object of each kind, all running the same chains.

Four objects, because grpc.aio.Channel sorts interceptors by `if/elif isinstance`: one class implementing all four
kinds would be registered for unary-unary only.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc.aio

from mesh.binding import drive_aio
from mesh.binding.answer import read_answer
from mesh.binding.hearing import Ear, begin
from mesh.binding.hearing_aio import requests
from mesh.binding.metadata import accepted, sent
from mesh.binding.race_aio import Start
from mesh.binding.status import outcome_of, rpc_error
from mesh.binding.stream_aio import StreamHandle, StreamStreamHandle, UnaryStreamHandle
from mesh.binding.unary_aio import StreamUnaryHandle
from mesh.call import CURRENT, Arity, Attempt, Call, Outcome
from mesh.chain import Chains
from mesh.engine import Flow

_OK: Final = Outcome(0)
"""The answer itself stays in grpc's call, so one outcome does for all."""

Continuation = Callable[[grpc.aio.ClientCallDetails, Any], Awaitable[Any]]


class _Client:
    """What the four kinds share."""

    def __init__(self, chains: Chains) -> None:
        self._chains = chains

    def _begin(
        self, details: grpc.aio.ClientCallDetails, arity: Arity, request: Any, *, replayable: bool
    ) -> tuple[Call, Flow, Ear | None]:
        method: str | bytes = details.method  # the stubs say str; grpc.aio hands out bytes in places
        if isinstance(method, bytes):
            method = method.decode()
        call = Call(
            method,
            arity,
            metadata=accepted(details.metadata or ()),
            timeout=details.timeout,
            parent=CURRENT.get(),
            replayable=replayable,
        )
        _, flow, ear = begin(self._chains, call, request)
        return call, flow, ear

    async def _stream(
        self,
        continuation: Continuation,
        details: grpc.aio.ClientCallDetails,
        request: Any,
        arity: Arity,
        handle: type[StreamHandle],
    ) -> Any:
        stream = handle(*self._starter(continuation, details, request, arity))
        await stream.begin()
        return stream

    def _starter(
        self, continuation: Continuation, details: grpc.aio.ClientCallDetails, request: Any, arity: Arity
    ) -> tuple[Flow, Start, Ear | None]:
        # A lone request is no stream; of streams, only what can be iterated twice can be sent twice.
        replayable = arity is Arity.UNARY_STREAM or isinstance(request, list | tuple)
        call, flow, ear = self._begin(details, arity, request, replayable=replayable)

        async def start(effect: Attempt) -> Any:
            messages = request if ear is None or not arity.request_streams else requests(ear, request)
            return await continuation(_details(details, call, effect), messages)

        return flow, start, ear


def _details(details: grpc.aio.ClientCallDetails, call: Call, attempt: Attempt) -> grpc.aio.ClientCallDetails:
    return grpc.aio.ClientCallDetails(
        # The stubs say str, but what an interceptor returns goes to grpc's core as it is: bytes, like what came.
        attempt.method.encode() or details.method,  # type: ignore[arg-type]
        attempt.timeout,
        grpc.aio.Metadata(*sent(call, attempt)),
        details.credentials,
        details.wait_for_ready,
    )


class UnaryUnary(_Client, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        call, flow, ear = self._begin(client_call_details, Arity.UNARY_UNARY, request, replayable=True)
        wire: Any = None
        wires: dict[int, Any] = {}

        async def attempt(effect: Attempt) -> Outcome:
            nonlocal wire
            before = wire
            wire = wires[effect.number] = await continuation(
                _details(client_call_details, call, effect), request
            )
            try:
                # The call, never its code(): cancelling a task that waits for code() leaves the server running.
                response = await wire
            except grpc.aio.AioRpcError as error:
                if effect.method:
                    wire = before  # a fallback that fails leaves the failure as it was
                return outcome_of(error)
            return _OK if ear is None else Outcome(0, value=response)

        def choose(number: int) -> None:
            nonlocal wire
            wire = wires.get(number)

        outcome = await drive_aio.unary(flow, attempt, choose)
        if outcome.answered_by and outcome.code == 0:
            # A bare message, which grpc wraps: it has no place for the metadata of an answer that came without a call.
            return read_answer(self._chains, call.method, outcome.value)
        if (
            wire is None
            or outcome.rejected_by
            or outcome.answered_by
            or (outcome.code and outcome.error is None)
        ):
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
        return StreamUnaryHandle(
            *self._starter(continuation, client_call_details, request_iterator, Arity.STREAM_UNARY),
            functools.partial(read_answer, self._chains, client_call_details.method),
        )


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
