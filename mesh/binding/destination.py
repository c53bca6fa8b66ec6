"""Where calls can go: a channel of grpc's own with the chains of the calls sent there, and one method on it.

A mesh channel has one destination, or several when routes send some calls to named subsets of a service.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from mesh.call import Arity, Metadata
from mesh.chain import Chains


class Cancellable(Protocol):
    """A call that can be told to end."""

    def cancel(self) -> bool: ...


class Destination:
    """A channel without interceptors, and the chains that calls on it go through."""

    __slots__ = ("chains", "channel", "waiting")

    def __init__(self, channel: Any, chains: Chains) -> None:
        self.channel = channel
        """Of grpc.aio or of plain grpc."""
        self.chains = chains
        self.waiting: weakref.WeakSet[Cancellable] = weakref.WeakSet()
        """Calls between two attempts: grpc does not know them, and closing its channel would not end them."""

    def close(self, *grace: float | None) -> Any:
        """End what waits for another attempt, which could not go out any more, and close the channel.

        Returns what grpc returns: under asyncio, what to wait for.
        """
        for call in list(self.waiting):
            call.cancel()
        return self.channel.close(*grace)

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

    __slots__ = ("_arity", "_invoke", "_messages", "destination", "invoke")

    def __init__(self, destination: Destination, arity: Arity, method: str, messages: Messages) -> None:
        self.destination = destination
        self._arity = arity
        self._messages = messages
        self.invoke = self._open(method)
        """Starts a call of the method: returns grpc's call object."""
        self._invoke = {method: self.invoke}

    def to(self, method: str) -> Any:
        """Return what starts a call of another method, too, with the same messages, as fallbacks do."""
        invoke = self._invoke.get(method)
        if invoke is None:
            invoke = self._invoke[method] = self._open(method)
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


class Method:
    """One method of a channel: where its calls go."""

    def __init__(
        self, home: Destination, pick: Pick | None, arity: Arity, name: str, messages: Messages
    ) -> None:
        self.name = name
        self._arity = arity
        self._messages = messages
        self._pick = pick
        self._home = Outlet(home, arity, name, messages)
        self._away: dict[Destination, Outlet] = {}

    def outlet(self, destination: Destination) -> Outlet:
        """Return the method at a destination."""
        if destination is self._home.destination:
            return self._home
        outlet = self._away.get(destination)
        if outlet is None:
            outlet = self._away[destination] = Outlet(destination, self._arity, self.name, self._messages)
        return outlet

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} at {self._home.destination!r}>"
