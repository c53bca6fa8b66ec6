"""Channels of the mesh in either colour, behind one interface: those of plain grpc are called in threads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

import mesh
import mesh.sync
from mesh.call import Colour


class InThreads:
    """A plain grpc channel as an event loop sees it."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def unary_unary(self, method: str, **serializers: Any) -> Callable[..., Any]:
        invoke = self._channel.unary_unary(method, **serializers)
        return lambda *arguments, **options: asyncio.create_task(
            asyncio.to_thread(invoke, *arguments, **options)
        )

    def unary_stream(self, method: str) -> Callable[..., AsyncIterator[bytes]]:
        invoke = self._channel.unary_stream(method)

        async def read(*arguments: Any, **options: Any) -> AsyncIterator[bytes]:
            for message in await asyncio.to_thread(lambda: list(invoke(*arguments, **options))):
                yield message

        return read

    async def close(self) -> None:
        await asyncio.to_thread(self._channel.close)


@contextlib.asynccontextmanager
async def coloured(colour: Colour, target: str, **options: Any) -> AsyncIterator[Any]:
    """Open `mesh.channel` or `mesh.sync.channel`."""
    if colour is Colour.AIO:
        async with mesh.channel(target, **options) as channel:
            yield channel
    else:
        with mesh.sync.channel(target, **options) as plain:
            yield InThreads(plain)
