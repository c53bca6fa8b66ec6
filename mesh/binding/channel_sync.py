"""A plain grpc channel of the mesh, for programs without an event loop: the target, the native settings, the chain.

It is a channel around grpc's, and no interceptor: it can start futures for calls that wait, which hedging needs, keep
one multicallable where interceptors make one for each call, and deserialize an answer that a stage gives.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Final, Protocol, Self

import grpc

from mesh.binding import runtime
from mesh.binding.client_sync import Client, ClientInterceptor, Invoke
from mesh.binding.destination import Destination, Messages, Method, Outlet, Pick
from mesh.binding.exchange_sync import Details, Exchange, Pair
from mesh.binding.metadata import accepted
from mesh.binding.runtime import Runtime
from mesh.binding.service_config import ChannelArguments
from mesh.binding.site_sync import Site
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

    def opened(uri: str, arguments: ChannelArguments) -> grpc.Channel:
        given = [*options, *arguments]  # of options given twice gRPC takes the first
        if credentials is None:
            return grpc.insecure_channel(uri, options=given)
        return grpc.secure_channel(uri, credentials, options=given)

    site = Site(resolve(target, using.environment), using, opened, stages=stages)
    meshed = Channel(site.home, Client(using.turns, using.alarms), pick=site.pick, beside=site)
    return grpc.intercept_channel(meshed, *interceptors) if interceptors else meshed


def client_interceptors(
    target: str, *, stages: Sequence[Placed] = (), using: Runtime | None = None
) -> list[Any]:
    """Return the mesh's interceptors for `grpc.intercept_channel`; `target` names the channel in metrics and state.

    Put your own interceptors before or after them. They bring the chain only: load balancing, health checks and
    keepalive are settings of the channel, which `mesh.sync.channel` makes; hedging needs a channel of its as well.
    """
    using = using or runtime.current()
    chains = using.chains(Side.CLIENT, target, colour=Colour.SYNC, own=True, native=True, stages=stages)
    return [ClientInterceptor(Client(using.turns, using.alarms), chains)]


class Closing(Protocol):
    """What is closed, as channels are."""

    def close(self) -> None: ...


class Channel(grpc.Channel):
    """A grpc.Channel whose calls run through the chains: to `home`, or wherever `pick` sends each."""

    def __init__(
        self, home: Destination, client: Client, *, pick: Pick | None = None, beside: Closing | None = None
    ) -> None:
        """`beside` is closed with the channel."""
        self._home = home
        self._client = client
        self._pick = pick
        self._beside = beside

    def subscribe(self, callback: Any, try_to_connect: bool = False) -> None:  # noqa: FBT001, FBT002 - grpc's signature
        self._home.channel.subscribe(callback, try_to_connect=try_to_connect)

    def unsubscribe(self, callback: Any) -> None:
        self._home.channel.unsubscribe(callback)

    def unary_unary(self, method: str, *serializers: Any, **options: Any) -> Any:
        return self._method(Arity.UNARY_UNARY, method, *serializers, **options)

    def stream_unary(self, method: str, *serializers: Any, **options: Any) -> Any:
        return self._method(Arity.STREAM_UNARY, method, *serializers, **options)

    def unary_stream(self, method: str, *serializers: Any, **options: Any) -> Any:
        return self._method(Arity.UNARY_STREAM, method, *serializers, **options)

    def stream_stream(self, method: str, *serializers: Any, **options: Any) -> Any:
        return self._method(Arity.STREAM_STREAM, method, *serializers, **options)

    def _method(
        self,
        arity: Arity,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,  # noqa: FBT001, FBT002 - grpc's signature
    ) -> Any:
        messages = Messages(request_serializer, response_deserializer, _registered_method)
        return _KINDS[arity](self._home, self._pick, arity, method, messages, self._client)

    def close(self) -> None:
        self._home.close()
        if self._beside is not None:
            self._beside.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Channel {self._home!r}>"


class _Method(Method):
    """What the multicallables of all arities share: how a call begins."""

    def __init__(
        self,
        home: Destination,
        pick: Pick | None,
        arity: Arity,
        name: str,
        messages: Messages,
        client: Client,
    ) -> None:
        super().__init__(home, pick, arity, name, messages)
        self._client = client

    def _begin(self, request: Any, options: Any, named: Any) -> tuple[Outlet, Exchange]:
        """Choose where a call goes; nothing of it runs yet."""
        details = Details(self.name, *options, **named)
        outlet = self._home
        if self._pick is not None:
            outlet = self.outlet(self._pick(self.name, accepted(details.metadata or ())))
        chains = outlet.destination.chains
        return outlet, self._client.exchange(chains, details, request, self._arity)


class _OneResponse(_Method):
    """Calls with one response: waited for, or as futures."""

    def __call__(self, request: Any, *options: Any, **named: Any) -> Any:
        return self.with_call(request, *options, **named)[0]

    def with_call(self, request: Any, *options: Any, **named: Any) -> Pair:
        client = self._client
        outlet, exchange = self._begin(request, options, named)
        if exchange.runs_by_itself:
            outcome = client.race(exchange, _starter(outlet))
        else:
            outcome = client.wait(
                exchange, lambda details, request: _wire(outlet, details).with_call(request, *details[1:])
            )
        if outcome.code:
            raise error_of(outcome)
        return self._read(exchange, outcome)

    def future(self, request: Any, *options: Any, **named: Any) -> UnaryHandle:
        outlet, exchange = self._begin(request, options, named)
        return self._client.future(exchange, _starter(outlet), functools.partial(self._read, exchange))

    def _read(self, exchange: Exchange, outcome: Outcome) -> Pair:
        if outcome.answered_by:
            response = self._home.read(outcome.value)
            return response, EndedCall(outcome, response)
        return exchange.answer


class _UnaryUnary(_OneResponse, grpc.UnaryUnaryMultiCallable):  # type: ignore[misc, type-arg]  # the stubs list every option
    """A unary-unary method."""


class _StreamUnary(_OneResponse, grpc.StreamUnaryMultiCallable):  # type: ignore[misc, type-arg]  # as above
    """A stream-unary method."""


class _ManyResponses(_Method):
    """Calls with a stream of responses."""

    def __call__(self, request: Any, *options: Any, **named: Any) -> StreamHandle:
        outlet, exchange = self._begin(request, options, named)
        return self._client.stream(
            exchange, lambda details, request: _wire(outlet, details)(request, *details[1:])
        )


class _UnaryStream(_ManyResponses, grpc.UnaryStreamMultiCallable):  # type: ignore[misc, type-arg]  # as above
    """A unary-stream method."""


class _StreamStream(_ManyResponses, grpc.StreamStreamMultiCallable):  # type: ignore[misc, type-arg]  # as above
    """A stream-stream method."""


def _wire(outlet: Outlet, details: Details) -> Any:
    """Return grpc's multicallable of the method that an attempt asks for: a fallback's, if not the call's own."""
    return outlet.to(details.method)


def _starter(outlet: Outlet) -> Invoke:
    return lambda details, request: _wire(outlet, details).future(request, *details[1:])


_KINDS: Final[dict[Arity, type[_Method]]] = {
    Arity.UNARY_UNARY: _UnaryUnary,
    Arity.UNARY_STREAM: _UnaryStream,
    Arity.STREAM_UNARY: _StreamUnary,
    Arity.STREAM_STREAM: _StreamStream,
}
