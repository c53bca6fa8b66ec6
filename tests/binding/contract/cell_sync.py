"""The cells of plain grpc: the server has threads of its own, and each call is made and read in one."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent import futures
from typing import Any

import grpc

from mesh.binding.alarm import Alarms
from mesh.binding.channel_sync import Channel
from mesh.binding.client_sync import Client, ClientInterceptor
from mesh.binding.destination import Destination
from mesh.binding.drive_sync import Turns
from mesh.binding.server_sync import ServerInterceptor
from mesh.call import Side

from .cell import METHOD, SERVICE, Backend, Carrier, Cell
from .script import Abort, Hang, Metadata, Raise, Send, SetCode


class CellSync(Cell):
    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Cell]:
        self.turns = Turns()
        self._threads = futures.ThreadPoolExecutor(64)
        on_server = [ServerInterceptor(self.chains, self.turns)] if self.side is Side.SERVER else []
        with futures.ThreadPoolExecutor(32) as pool:
            server = grpc.server(pool, interceptors=on_server, options=[("grpc.so_reuseport", 0)])
            handlers = {name: _handler(self.backend, name) for name in ("Method", "Other")}
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
            address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
            server.start()
            try:
                async with self.connected(address):
                    yield self
            finally:
                await asyncio.to_thread(server.stop(None).wait)
        self._threads.shutdown()

    @contextlib.asynccontextmanager
    async def connected(self, address: str) -> AsyncIterator[None]:
        before = getattr(self, "channel", None)
        wire = grpc.insecure_channel(address, options=[("grpc.enable_retries", 0)])
        self.channel: Any = wire
        if self.side is Side.CLIENT:
            client = Client(self.turns, Alarms())
            if self.carrier is Carrier.SYNC_CHANNEL:
                self.channel = Channel(Destination(wire, self.chains), client)
            else:
                self.channel = grpc.intercept_channel(wire, ClientInterceptor(client, self.chains))
        with self.channel:
            yield
        self.channel = before

    def _multicallable(self, method: str) -> Any:
        return getattr(self.channel, self.arity.value)(method)

    def _request(self, request: Any) -> Any:
        if not self.arity.request_streams:
            return b"a" if request is None else request
        requests = [b"a"] if request is None else request
        return requests if self.side is Side.CLIENT else iter(requests)  # grpc itself takes iterators only

    def start(self, request: Any = None, *, method: str = METHOD, **options: Any) -> Any:
        multicallable = self._multicallable(method)
        begin = multicallable if self.arity.response_streams else multicallable.future
        return begin(self._request(request), **options)

    async def collect(self, call: Any) -> list[bytes]:
        if self.arity.response_streams:
            return await self.thread(list, call)
        return [await self.thread(call.result)]

    async def call(self, request: Any = None, *, method: str = METHOD, **options: Any) -> list[bytes]:
        if self.arity.response_streams:
            return await self.collect(self.start(request, method=method, **options))
        invoke = self._multicallable(method)
        return [await self.thread(lambda: invoke(self._request(request), **options))]

    async def read(self, call: Any) -> bytes | None:
        return await self.thread(next, call, None)

    async def ask(self, call: Any, name: str) -> Any:
        return await self.thread(getattr(call, name))

    async def thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def one_shot(self) -> Iterator[bytes]:
        return iter([b"a"])

    def drop(self, call: Any) -> None:
        """Nothing: a plain grpc call that nobody holds is cancelled, a raw one, too."""


def _handler(backend: Backend, method: str) -> grpc.RpcMethodHandler:
    arity = backend.arity

    def perform(request: Any, context: Any) -> Iterator[bytes]:
        gone = threading.Event()
        context.add_callback(gone.set)
        actions = backend.enter(method, context)
        try:
            if arity.request_streams:
                for message in request:
                    backend.requests.append(message)
                    if not backend.reads_all:
                        break
            else:
                backend.requests.append(request)
            for action in actions:
                if type(action) is Send:
                    yield action.message
                elif type(action) is Abort:
                    context.set_trailing_metadata(action.trailing)
                    context.abort(action.code, action.details)
                elif type(action) is SetCode:
                    context.set_code(action.code)
                    context.set_details(action.details)
                elif type(action) is Raise:
                    raise action.error
                elif type(action) is Metadata:
                    context.send_initial_metadata(action.opening)
                    context.set_trailing_metadata(action.closing)
                elif type(action) is Hang:
                    gone.wait()
        finally:
            if not context.is_active():
                backend.cancelled.set()

    def single(request: Any, context: Any) -> bytes:
        return next(iter([*perform(request, context), b""]))

    body: Any = perform if arity.response_streams else single
    return getattr(grpc, f"{arity.value}_rpc_method_handler")(body)
