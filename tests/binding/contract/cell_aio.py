"""The cells of grpc.aio: server and client share the test's event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from mesh.binding import client_aio, server_aio
from mesh.binding.channel_aio import Channel
from mesh.binding.destination import Destination
from mesh.call import Side

from .cell import METHOD, SERVICE, Backend, Carrier, Cell
from .script import Abort, Hang, Metadata, Raise, Send, SetCode


class CellAio(Cell):
    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Cell]:
        on_server = [server_aio.ServerInterceptor(self.chains)] if self.side is Side.SERVER else []
        server = grpc.aio.server(interceptors=on_server, options=[("grpc.so_reuseport", 0)])
        handlers = {name: _handler(self.backend, name) for name in ("Method", "Other")}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        try:
            async with self.connected(address):
                yield self
        finally:
            await server.stop(None)

    @contextlib.asynccontextmanager
    async def connected(self, address: str) -> AsyncIterator[None]:
        before = getattr(self, "channel", None)
        options = [("grpc.enable_retries", 0)]
        intercepted = self.side is Side.CLIENT and self.carrier is Carrier.AIO_INTERCEPTORS
        interceptors = client_aio.interceptors(self.chains) if intercepted else []
        channel: Any = grpc.aio.insecure_channel(address, options=options, interceptors=interceptors)
        if self.side is Side.CLIENT and self.carrier is Carrier.AIO_CHANNEL:
            channel = Channel(Destination(channel, self.chains))
        async with channel:
            self.channel = channel
            yield
        self.channel = before

    def start(self, request: Any = None, *, method: str = METHOD, **options: Any) -> Any:
        multicallable = getattr(self.channel, self.arity.value)(method)
        if self.arity.request_streams:
            # One message: grpc.aio answers INTERNAL "Internal error from Core" when a server ends a call while its
            # client still writes, with or without interceptors.
            return multicallable([b"a"] if request is None else request, **options)
        return multicallable(b"a" if request is None else request, **options)

    async def collect(self, call: Any) -> list[bytes]:
        if self.arity.response_streams:
            return [message async for message in call]
        return [await call]

    async def read(self, call: Any) -> bytes | None:
        message = await call.read()
        return None if message is grpc.aio.EOF else message

    async def ask(self, call: Any, name: str) -> Any:
        return await getattr(call, name)()

    async def one_shot(self) -> AsyncIterator[bytes]:
        yield b"a"

    def drop(self, call: Any) -> None:
        """A raw grpc.aio stream keeps itself alive until it ends, so it takes a cancel."""
        if self.side is Side.SERVER:
            call.cancel()


def _handler(backend: Backend, method: str) -> grpc.RpcMethodHandler:
    arity = backend.arity

    async def perform(request: Any, context: Any) -> AsyncIterator[bytes]:
        actions = backend.enter(method, context)
        try:
            if arity.request_streams:
                async for message in request:
                    backend.requests.append(message)
                    if not backend.reads_all:
                        break
            else:
                backend.requests.append(request)
            for action in actions:
                if type(action) is Send:
                    yield action.message
                elif type(action) is Abort:
                    await context.abort(*action)
                elif type(action) is SetCode:
                    context.set_code(action.code)
                    context.set_details(action.details)
                elif type(action) is Raise:
                    raise action.error
                elif type(action) is Metadata:
                    await context.send_initial_metadata(action.opening)
                    context.set_trailing_metadata(action.closing)
                elif type(action) is Hang:
                    await asyncio.Event().wait()
        except (asyncio.CancelledError, GeneratorExit):
            backend.cancelled.set()
            raise

    async def single(request: Any, context: Any) -> bytes:
        messages = [message async for message in perform(request, context)]
        return messages[0]

    async def write(request: Any, context: Any) -> None:
        async for message in perform(request, context):
            await context.write(message)

    async def stream(request: Any, context: Any) -> AsyncIterator[bytes]:
        async with contextlib.aclosing(perform(request, context)) as messages:
            async for message in messages:
                yield message

    body: Any = (write if backend.writes else stream) if arity.response_streams else single
    return getattr(grpc, f"{arity.value}_rpc_method_handler")(body)
