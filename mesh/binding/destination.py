"""Where calls can go: a channel of grpc's own with the chains of the calls sent there, and one method on it.

A mesh channel has one destination, or several when routes send some calls to named subsets of a service.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import grpc.aio

from mesh.call import Arity, Metadata
from mesh.chain import Chains


class Cancellable(Protocol):
    """A call that can be told to end."""

    def cancel(self) -> bool: ...


class Destination:
    """A channel without interceptors, and the chains that calls on it go through."""

    __slots__ = ("chains", "channel", "waiting")

    def __init__(self, channel: grpc.aio.Channel, chains: Chains) -> None:
        self.channel = channel
        self.chains = chains
        self.waiting: weakref.WeakSet[Cancellable] = weakref.WeakSet()
        """Calls between two attempts: grpc does not know them, and closing its channel would not end them."""

    async def close(self, grace: float | None = None) -> None:
        """End what waits for another attempt, which could not go out any more, and close the channel."""
        for call in list(self.waiting):
            call.cancel()
        await self.channel.close(grace)

    def __repr__(self) -> str:
        return f"<Destination {self.chains.target}>"


Pick = Callable[[str, Metadata], Destination]
"""Chooses where a call goes, from its method and the application's metadata, before its chain runs."""


class Messages(NamedTuple):
    """How the messages of a method become bytes, in the words of grpc's stubs."""

    request_serializer: Callable[[Any], bytes] | None = None
    response_deserializer: Callable[[bytes], Any] | None = None
    registered: bool | None = False
    """Whether the method comes from a generated stub, whose name gRPC's core keeps ready."""


class Outlet:
    """One method at one destination: grpc's own multicallable there, and others for the same messages."""

    __slots__ = ("_arity", "_messages", "_others", "destination", "invoke")

    def __init__(self, destination: Destination, arity: Arity, method: str, messages: Messages) -> None:
        self.destination = destination
        self._arity = arity
        self._messages = messages
        self._others: dict[str, Any] = {}
        self.invoke = self._open(method)
        """Starts a call of the method: returns grpc's call object."""

    def to(self, method: str) -> Any:
        """Return what starts a call of another method with the same messages, as fallbacks do."""
        invoke = self._others.get(method)
        if invoke is None:
            invoke = self._others[method] = self._open(method)
        return invoke

    def read(self, response: Any) -> Any:
        """Return the message of a response's wire form, as the stub would."""
        deserializer = self._messages.response_deserializer
        return response if deserializer is None else deserializer(response)

    def _open(self, method: str) -> Any:
        serializer, deserializer, registered = self._messages
        make: Any = getattr(self.destination.channel, self._arity.value)
        return make(method, serializer, deserializer, registered)

    def __repr__(self) -> str:
        return f"<Outlet {self._arity.value} {self.destination!r}>"
