"""A plain grpc channel of the mesh, for programs without an event loop: the target, the native settings, the chain.

It is a channel around grpc's, and no interceptor: it can start futures for calls that wait, which hedging needs, keep
one multicallable where interceptors make one for each call, and deserialize an answer that a stage gives.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Self

import grpc

from mesh.binding import runtime
from mesh.binding.client_sync import Client, ClientInterceptor
from mesh.binding.exchange_sync import Details, Exchange, Pair
from mesh.binding.runtime import Runtime
from mesh.binding.service_config import channel_arguments
from mesh.binding.status_sync import EndedCall, error_of
from mesh.binding.stream_sync import StreamHandle
from mesh.binding.target import resolve
from mesh.binding.unary_sync import UnaryHandle
from mesh.call import Arity, Colour, Outcome, Side
from mesh.placement import Placed


def channel(
    target: str | Sequence[str],
    *,
    credentials: grpc.ChannelCredentials | None = None,
    interceptors: Sequence[Any] = (),
    stages: Sequence[Placed] = (),
    options: Sequence[tuple[str, Any]] = (),
    using: Runtime | None = None,
) -> grpc.Channel:
    """Open a channel whose calls go through the mesh, from any thread.

    `target` is the name of a service in the environment (`mesh.yaml`), `HOST:PORT`, a `dns:///` or `unix:` URI, or a
    list of `IP:PORT`. The application's `interceptors` run before the mesh's, once per call whatever is retried;
    its `stages` (see `mesh.place`) run where they are placed, one thread at a time.
    `options` are gRPC channel arguments and win over the policy's. Without `credentials` the channel is plaintext.

    Raises ConfigError when the target or the environment cannot be used. Nothing is connected yet.
    """
    using = using or runtime.current()
    found = resolve(target, using.environment)
    # Of options given twice gRPC takes the first.
    arguments = [*options, *channel_arguments(using.policies.connection(found.services), found.uri)]
    if credentials is None:
        wire = grpc.insecure_channel(found.uri, options=arguments)
    else:
        wire = grpc.secure_channel(found.uri, credentials, options=arguments)
    meshed = Channel(wire, client(found.name, using, stages))
    return grpc.intercept_channel(meshed, *interceptors) if interceptors else meshed


def client_interceptors(
    target: str, *, stages: Sequence[Placed] = (), using: Runtime | None = None
) -> list[Any]:
    """Return the mesh's interceptors for `grpc.intercept_channel`; `target` names the channel in metrics and state.

    Put your own interceptors before or after them. They bring the chain only: load balancing, health checks and
    keepalive are settings of the channel, which `mesh.sync.channel` makes; hedging needs a channel of its as well.
    """
    return [ClientInterceptor(client(target, using or runtime.current(), stages, own=True))]


def client(target: str, using: Runtime, stages: Sequence[Placed] = (), *, own: bool = False) -> Client:
    """Return what runs the calls to a target through its chains."""
    chains = using.chains(Side.CLIENT, target, colour=Colour.SYNC, own=own, native=True, stages=stages)
    return Client(chains, using.turns)


class Channel(grpc.Channel):
    """A grpc.Channel whose calls run through the chains."""

    def __init__(self, wire: grpc.Channel, client: Client) -> None:
        self._wire = wire
        self._client = client

    def subscribe(self, callback: Any, try_to_connect: bool = False) -> None:  # noqa: FBT001, FBT002 - grpc's signature
        self._wire.subscribe(callback, try_to_connect=try_to_connect)

    def unsubscribe(self, callback: Any) -> None:
        self._wire.unsubscribe(callback)

    def unary_unary(self, method: str, *serializers: Any, **options: Any) -> Any:
        return _UnaryUnary(self._wire.unary_unary, self._client, method, *serializers, **options)

    def stream_unary(self, method: str, *serializers: Any, **options: Any) -> Any:
        return _StreamUnary(self._wire.stream_unary, self._client, method, *serializers, **options)

    def unary_stream(self, method: str, *serializers: Any, **options: Any) -> Any:
        return _UnaryStream(self._wire.unary_stream, self._client, method, *serializers, **options)

    def stream_stream(self, method: str, *serializers: Any, **options: Any) -> Any:
        return _StreamStream(self._wire.stream_stream, self._client, method, *serializers, **options)

    def close(self) -> None:
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Channel {self._client!r}>"


class _Method:
    """What the multicallables of all arities share: grpc's own beneath, by method."""

    _arity: Arity

    def __init__(
        self,
        make: Callable[..., Any],
        client: Client,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,  # noqa: FBT001, FBT002 - grpc's signature
    ) -> None:
        self._client = client
        self._method = method
        self._deserialize = response_deserializer
        self._make = make
        self._serialize = request_serializer
        # A fallback may ask another method: with the same messages, but not registered under this one's handle.
        self._wires = {method: make(method, request_serializer, response_deserializer, _registered_method)}

    def _wire(self, method: str) -> Any:
        wire = self._wires.get(method)
        if wire is None:
            wire = self._wires[method] = self._make(method, self._serialize, self._deserialize)
        return wire


class _OneResponse(_Method):
    """Calls with one response: waited for, or as futures."""

    def __call__(self, request: Any, *options: Any, **named: Any) -> Any:
        return self.with_call(request, *options, **named)[0]

    def with_call(self, request: Any, *options: Any, **named: Any) -> Pair:
        client = self._client
        exchange = client.exchange(Details(self._method, *options, **named), request, self._arity)
        if exchange.runs_by_itself:
            outcome = client.race(exchange, self._start)
        else:
            outcome = client.wait(exchange, self._block)
        if outcome.code:
            raise error_of(outcome)
        return self._read(exchange, outcome)

    def future(self, request: Any, *options: Any, **named: Any) -> UnaryHandle:
        exchange = self._client.exchange(Details(self._method, *options, **named), request, self._arity)
        return self._client.future(exchange, self._start, functools.partial(self._read, exchange))

    def _block(self, details: Details, request: Any) -> Pair:
        pair: Pair = self._wire(details.method).with_call(request, *details[1:])
        return pair

    def _start(self, details: Details, request: Any) -> Any:
        return self._wire(details.method).future(request, *details[1:])

    def _read(self, exchange: Exchange, outcome: Outcome) -> Pair:
        if outcome.answered_by:
            read = self._deserialize
            response = outcome.value if read is None else read(outcome.value)
            return response, EndedCall(outcome, response)
        return exchange.answer


class _UnaryUnary(_OneResponse, grpc.UnaryUnaryMultiCallable):  # type: ignore[misc, type-arg]  # the stubs list every option
    _arity = Arity.UNARY_UNARY


class _StreamUnary(_OneResponse, grpc.StreamUnaryMultiCallable):  # type: ignore[misc, type-arg]  # as above
    _arity = Arity.STREAM_UNARY


class _ManyResponses(_Method):
    """Calls with a stream of responses."""

    def __call__(self, request: Any, *options: Any, **named: Any) -> StreamHandle:
        exchange = self._client.exchange(Details(self._method, *options, **named), request, self._arity)
        return self._client.stream(exchange, self._start)

    def _start(self, details: Details, request: Any) -> Any:
        return self._wire(details.method)(request, *details[1:])


class _UnaryStream(_ManyResponses, grpc.UnaryStreamMultiCallable):  # type: ignore[misc, type-arg]  # as above
    _arity = Arity.UNARY_STREAM


class _StreamStream(_ManyResponses, grpc.StreamStreamMultiCallable):  # type: ignore[misc, type-arg]  # as above
    _arity = Arity.STREAM_STREAM
