"""What a stub calls: each method's chain around grpc's own multicallable, without grpc.aio's interceptor machinery.

That machinery costs 10 us a call before an interceptor has done anything: it makes a task and a second call object.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Any, TypeVar

import grpc
import grpc.aio

from mesh import engine
from mesh.binding import destination
from mesh.binding.destination import Destination, Messages, Outlet, Pick
from mesh.binding.hearing import Ear, heard
from mesh.binding.hearing_aio import requests
from mesh.binding.metadata import accepted, sent
from mesh.binding.metadata_aio import as_sent
from mesh.binding.race_aio import Start
from mesh.binding.status import at_once
from mesh.binding.stream_aio import StreamHandle, StreamStreamHandle, UnaryStreamHandle
from mesh.binding.unary_aio import StreamUnaryHandle
from mesh.binding.unary_unary_aio import UnaryUnaryHandle
from mesh.call import CURRENT, Arity, Attempt, Call
from mesh.engine import Chain, Flow

_Stream = TypeVar("_Stream", bound=StreamHandle)

Given = grpc.aio.Metadata | Iterable[tuple[str, str | bytes]] | None
Requests = AsyncIterable[Any] | Iterable[Any] | None


class Method(destination.Method):
    """One method of a channel: how a call begins."""

    def __init__(
        self, home: Destination, pick: Pick | None, arity: Arity, name: str, messages: Messages
    ) -> None:
        super().__init__(home, pick, arity, name, messages)
        self._streams = arity.request_streams

    def named(self, name: str) -> Method:
        """Return the same for another method with the same messages, as interceptors may ask for."""
        if name == self.name:
            return self
        return type(self)(self._home.destination, self._pick, self._arity, name, self._messages)

    def begin(
        self, request: Any, metadata: Given, timeout: float | None
    ) -> tuple[Outlet, Call, Chain, Flow, Ear | None]:
        """Choose where a call goes and make its flow; it has an ear if its chain listens."""
        pairs = () if metadata is None else accepted(metadata)
        outlet = self._home if self._pick is None else self.outlet(self._pick(self.name, pairs))
        chains = outlet.destination.chains
        call = Call(
            self.name,
            self._arity,
            metadata=pairs,
            timeout=timeout,
            parent=CURRENT.get(),
            # A lone request is no stream; of streams, only what can be iterated twice can be sent twice.
            replayable=not self._streams or isinstance(request, list | tuple),
        )
        # hearing.begin written out: a function less for each call.
        chain = chains.find(self.name, self._arity)
        flow = engine.run(chain, call, chains.clock, chains.random)
        if chain.listens:
            return outlet, call, chain, *heard(flow, chain, call, chains.clock, request)
        return outlet, call, chain, flow, None


class UnaryUnary(Method, grpc.aio.UnaryUnaryMultiCallable):  # type: ignore[type-arg]  # generic in the stubs only
    """A unary-unary method."""

    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Given = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> UnaryUnaryHandle:
        outlet, call, chain, flow, _ = self.begin(request, metadata, timeout)
        return UnaryUnaryHandle(outlet, chain, call, flow, request, credentials, wait_for_ready, compression)


class _Streaming(Method):
    """What methods with a stream on either side share."""

    def _starter(
        self,
        request: Any,
        timeout: float | None,
        metadata: Given,
        options: dict[str, Any],
    ) -> tuple[Flow, Start, Ear | None]:
        outlet, call, _, flow, ear = self.begin(request, metadata, timeout)
        # Requests that the caller writes are heard by what he writes them to.
        hearing = ear if request is not None and self._streams else None

        async def start(effect: Attempt) -> Any:
            invoke = outlet.to(effect.method) if effect.method else outlet.invoke
            messages = request if hearing is None else requests(hearing, request)
            return invoke(messages, timeout=effect.timeout, metadata=as_sent(sent(call, effect)), **options)

        return flow, start, ear


class UnaryStream(_Streaming, grpc.aio.UnaryStreamMultiCallable):  # type: ignore[type-arg]  # generic in the stubs only
    """A unary-stream method."""

    def __call__(
        self, request: Any, *, timeout: float | None = None, metadata: Given = None, **options: Any
    ) -> UnaryStreamHandle:
        return _begun(UnaryStreamHandle(*self._starter(request, timeout, metadata, options)))


class StreamUnary(_Streaming, grpc.aio.StreamUnaryMultiCallable):  # type: ignore[type-arg]  # generic in the stubs only
    """A stream-unary method."""

    def __call__(
        self,
        request_iterator: Requests = None,
        timeout: float | None = None,
        metadata: Given = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,  # noqa: FBT001 - grpc's signature
        compression: grpc.Compression | None = None,
    ) -> StreamUnaryHandle:
        options = {"credentials": credentials, "wait_for_ready": wait_for_ready, "compression": compression}
        return StreamUnaryHandle(
            *self._starter(request_iterator, timeout, metadata, options), self._home.read
        )


class StreamStream(_Streaming, grpc.aio.StreamStreamMultiCallable):  # type: ignore[type-arg]  # generic in the stubs only
    """A stream-stream method."""

    def __call__(
        self,
        request_iterator: Requests = None,
        timeout: float | None = None,
        metadata: Given = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,  # noqa: FBT001 - grpc's signature
        compression: grpc.Compression | None = None,
    ) -> StreamStreamHandle:
        options = {"credentials": credentials, "wait_for_ready": wait_for_ready, "compression": compression}
        return _begun(StreamStreamHandle(*self._starter(request_iterator, timeout, metadata, options)))


def _begun(stream: _Stream) -> _Stream:
    """Start a stream's first attempt: grpc's multicallables start calls without waiting for anything."""
    at_once(stream.begin())
    return stream
