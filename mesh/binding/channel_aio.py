"""The mesh's grpc.aio channel: what its stubs call, and what it closes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol, Self

import grpc
import grpc.aio

from mesh.binding.destination import Destination, Messages, Pick
from mesh.binding.multicallable_aio import StreamStream, StreamUnary, UnaryStream, UnaryUnary
from mesh.call import Arity

_KINDS: Final[dict[Arity, Callable[..., Any]]] = {
    Arity.UNARY_UNARY: UnaryUnary,
    Arity.UNARY_STREAM: UnaryStream,
    Arity.STREAM_UNARY: StreamUnary,
    Arity.STREAM_STREAM: StreamStream,
}


class Closing(Protocol):
    """What is closed, as channels are."""

    async def close(self, grace: float | None = None) -> None: ...


class Channel(grpc.aio.Channel):
    """Calls go to `home`, or wherever `pick` sends each; None costs nothing.

    Belongs to the event loop it is made in, like the channels it stands before.
    """

    def __init__(self, home: Destination, *, pick: Pick | None = None, beside: Closing | None = None) -> None:
        """`beside` is closed with the channel."""
        self._home = home
        self._pick = pick
        self._beside = beside

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._home.close(grace))
            if self._beside is not None:
                group.create_task(self._beside.close(grace))

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002 - grpc's signature
        state: grpc.ChannelConnectivity = self._home.channel.get_state(try_to_connect)
        return state

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._home.channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._home.channel.channel_ready()

    def _method(self, arity: Arity, method: str, messages: Messages) -> Any:
        return _KINDS[arity](self._home, self._pick, arity, method, messages)

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,  # noqa: FBT001, FBT002 - what generated stubs pass
    ) -> Any:
        return self._method(
            Arity.UNARY_UNARY, method, Messages(request_serializer, response_deserializer, _registered_method)
        )

    def unary_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,  # noqa: FBT001, FBT002 - what generated stubs pass
    ) -> Any:
        return self._method(
            Arity.UNARY_STREAM,
            method,
            Messages(request_serializer, response_deserializer, _registered_method),
        )

    def stream_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,  # noqa: FBT001, FBT002 - what generated stubs pass
    ) -> Any:
        return self._method(
            Arity.STREAM_UNARY,
            method,
            Messages(request_serializer, response_deserializer, _registered_method),
        )

    def stream_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,  # noqa: FBT001, FBT002 - what generated stubs pass
    ) -> Any:
        return self._method(
            Arity.STREAM_STREAM,
            method,
            Messages(request_serializer, response_deserializer, _registered_method),
        )

    def __repr__(self) -> str:
        return f"<Channel {self._home!r}>"
