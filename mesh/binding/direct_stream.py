"""A call of any arity through the chain, as one stream: bytes in, bytes out, how it ended as a value."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, Self

import grpc

from mesh.binding.destination import Outlet
from mesh.binding.hearing import begin
from mesh.binding.hearing_aio import requests as heard_requests
from mesh.binding.metadata import sent
from mesh.binding.metadata_aio import as_sent
from mesh.binding.stream_aio import StreamHandle
from mesh.binding.unary_aio import StreamUnaryHandle
from mesh.call import Attempt, Call, Metadata, Outcome


class DirectStream:
    """A call that runs. Iterating gives the responses and ends however the call ended: `outcome` says how.

    What the iterator of requests raises cancels the call and is raised to whoever iterates here.
    """

    __slots__ = ("_failure", "_handle", "_responses", "has_opened", "outcome")

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        """How the call ended, with its trailing metadata; None while there is more to iterate."""
        self.has_opened = False
        """Whether a response has come, and with it what the server opened its answer with."""
        self._failure: Exception | None = None
        self._handle: Any = None
        self._responses: AsyncIterator[bytes] | None = None

    async def begin(self, outlet: Outlet, call: Call, requests: bytes | AsyncIterable[bytes]) -> None:
        """Admit the call and start its first attempt. A call that is rejected ends at once."""
        _, flow, ear = begin(outlet.destination.chains, call, requests)
        messages = requests if isinstance(requests, bytes) else self._guarded(requests)

        async def start(effect: Attempt) -> Any:
            invoke = outlet.to(effect.method) if effect.method else outlet.invoke
            streams = call.arity.request_streams
            given = messages if ear is None or not streams else heard_requests(ear, messages)
            return invoke(given, timeout=effect.timeout, metadata=as_sent(sent(call, effect)))

        if call.arity.response_streams:
            self._handle = handle = StreamHandle(flow, start, ear)
            self._responses = aiter(handle)
            await handle.begin()
        else:
            self._handle = StreamUnaryHandle(flow, start, ear, bytes)

    async def _guarded(self, requests: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        try:
            async for request in requests:
                yield request
        except Exception as error:
            # grpc would log it away, and the call look cancelled by nobody.
            self.fail(error)
            raise

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self.outcome is not None:
            raise StopAsyncIteration
        try:
            return await self._next()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._failure is None or (task is not None and task.cancelling()):
                self.cancel()
                raise
            raise self._failure from None

    async def _next(self) -> bytes:
        if self._failure is not None:
            raise self._failure
        handle = self._handle
        if self._responses is not None:
            try:
                message = await anext(self._responses)
                self.has_opened = True
                return message
            except StopAsyncIteration:
                pass
            except grpc.RpcError:
                # Those of the wire and those of the chain: the handle has it as a value.
                pass
            self.outcome = await _with_trailing(handle, handle.outcome)
            raise StopAsyncIteration
        outcome = await handle.ended()
        if self._failure is not None:
            raise self._failure
        self.outcome = await _with_trailing(handle, outcome)
        if outcome.code != 0:
            raise StopAsyncIteration
        response: bytes = outcome.value
        self.has_opened = True
        return response

    async def initial_metadata(self) -> Metadata:
        """Return what the server opened its answer with: nothing, if the call ended before it went out."""
        if self.outcome is not None and (self.outcome.rejected_by or self.outcome.answered_by):
            return ()
        return tuple(await self._handle.initial_metadata())

    def fail(self, error: Exception) -> None:
        """Cancel the call for an error of this side, which is raised to whoever iterates."""
        if self._failure is None:
            self._failure = error
        self.cancel()

    def cancel(self) -> None:
        """Cancel the call; its server learns it. Does nothing once it has ended."""
        if self._handle is not None:
            self._handle.cancel()

    def __repr__(self) -> str:
        return f"<DirectStream {'running' if self.outcome is None else self.outcome}>"


async def _with_trailing(handle: Any, outcome: Outcome) -> Outcome:
    # What failed has its trailers; they are not asked of a call that the wire did not end.
    if outcome.code != 0 or outcome.answered_by:
        return outcome
    return outcome._replace(trailing=tuple(await handle.trailing_metadata()))
