"""A server whose messages are as long as its requests say, and a channel to it, each with policies of its own."""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

import mesh
from mesh.binding import hearing_aio
from mesh.binding.channel import client_interceptors
from mesh.binding.runtime import Runtime
from mesh.policy.table import PolicyTable
from tests.policy.test_table import table

SERVICE = "chat.v1.Chat"
ASK, LISTEN, TELL, TALK = (f"/{SERVICE}/{name}" for name in ("Ask", "Listen", "Tell", "Talk"))


class Chat:
    """Answers each request with messages as long as it says: b"3" is answered with b"..." ."""

    def __init__(self) -> None:
        self.entered = 0
        self.cancelled = 0
        self.left = 0
        self.received: list[bytes] = []
        self.silent = asyncio.Event()
        """Set when the handler has nothing more to say, and waits."""

    async def ask(self, request: bytes, context: Any) -> bytes:
        self.entered += 1
        return b"." * int(request)

    async def listen(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        self.entered += 1
        for size in request.split(b","):
            if size == b"wait":
                await self.wait()
            elif size == b"sleep":
                await asyncio.sleep(0.05)
            else:
                yield b"." * int(size)

    async def tell(self, requests: Any, context: Any) -> bytes:
        self.entered += 1
        try:
            async for message in requests:
                self.received.append(message)
            # grpc.aio shows a handler the end of the stream first, and then that its client has cancelled.
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.left += 1
        return b"."

    async def talk(self, _: Any, context: Any) -> None:
        """Read and write, as the other of grpc.aio's two ways has it."""
        self.entered += 1
        try:
            while (message := await context.read()) is not grpc.aio.EOF:
                self.received.append(message)
                if message == b"wait":
                    await self.wait()
                await context.write(b"." * int(message))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.left += 1

    async def wait(self) -> None:
        self.silent.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def add_to(self, server: Any) -> None:
        handlers = {
            "Ask": grpc.unary_unary_rpc_method_handler(self.ask),
            "Listen": grpc.unary_stream_rpc_method_handler(self.listen),
            "Tell": grpc.stream_unary_rpc_method_handler(self.tell),
            "Talk": grpc.stream_stream_rpc_method_handler(self.talk),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


def runtime(section: str) -> Runtime:
    return Runtime(policies=table(f"{{defaults: {{{section}}}}}") if section else PolicyTable())


class Pair:
    """A server and a channel to it, each with policies of its own."""

    def __init__(
        self, chat: Chat, channel: grpc.aio.Channel, address: str, server: Runtime, client: Runtime
    ) -> None:
        self.chat, self.channel, self.address, self.server, self.client = (
            chat,
            channel,
            address,
            server,
            client,
        )

    def ask(self, request: bytes, **options: Any) -> Any:
        return self.channel.unary_unary(ASK)(request, **options)

    def listen(self, request: bytes, **options: Any) -> Any:
        return self.channel.unary_stream(LISTEN)(request, **options)

    def tell(self, requests: Any = None, **options: Any) -> Any:
        return self.channel.stream_unary(TELL)(requests, **options)

    def talk(self, requests: Any = None, **options: Any) -> Any:
        return self.channel.stream_stream(TALK)(requests, **options)


@contextlib.asynccontextmanager
async def pair(*, server: str = "", client: str = "", plain: bool = False) -> AsyncIterator[Pair]:
    """Start both; `plain`: the client's chain is in interceptors on a channel of grpc's own."""
    chat, on_server, on_client = Chat(), runtime(server), runtime(client)
    node = mesh.server("chat", listen="127.0.0.1:0", using=on_server, lame_duck=0.0)
    chat.add_to(node)
    address = await node.start()
    made = (
        grpc.aio.insecure_channel(address, interceptors=client_interceptors("chat", using=on_client))
        if plain
        else mesh.channel(address, using=on_client)
    )
    try:
        async with made as channel:
            yield Pair(chat, channel, address, on_server, on_client)
    finally:
        await node.stop()
        assert [] == alarms()


def alarms() -> list[asyncio.TimerHandle]:
    """Timers of streams that are still set."""
    scheduled: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return [one for one in scheduled if one._callback is hearing_aio.watch and not one.cancelled()]  # type: ignore[attr-defined]


async def refused(call: Any) -> grpc.aio.AioRpcError:
    """Return the error of a call with one response, or a stream that is read to the end."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (_read(call) if hasattr(call, "__aiter__") else call)
    return caught.value


async def _read(call: Any) -> None:
    async for _ in call:
        pass


def counted(runtime: Runtime, name: str) -> dict[str, float]:
    found: collections.Counter[str] = collections.Counter()
    for series in runtime.telemetry.aggregates.snapshot():
        if series.instrument.name == name:
            found[dict(series.attributes)["mesh.direction"]] += series.value
    return found


PLAIN = pytest.mark.parametrize("plain", [False, True], ids=["channel", "interceptors"])
