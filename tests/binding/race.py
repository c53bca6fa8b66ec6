"""A server of one method that answers by script, and every way to call it with hedging."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

import mesh
from mesh.binding.destination import Destination
from mesh.binding.direct import Direct
from mesh.binding.runtime import Runtime
from mesh.call import Arity, Side

from .node import runtime, until
from .test_cancellation import taken

HEDGE = "hedge: {delay: 0.05s, scope: RETRY_SCOPE_ALL}, circuit_breaker: {enabled: false}"
POLICIES = f"defaults: {{{HEDGE}, retry: {{budget: {{min_per_second: 1000}}}}}}"

METHOD = "/race.Service/Method"


class Backend:
    """Answers each call as the test's script says, by the number of the call."""

    def __init__(self, arity: Arity) -> None:
        self.arity = arity
        self.calls = 0
        self.cancelled = asyncio.Event()
        self.metadata: list[dict[str, Any]] = []
        self.script = self.answer

    async def answer(self, number: int, context: Any) -> list[bytes]:
        return [b"one", b"two"]

    async def hang(self, number: int, context: Any) -> list[bytes]:
        await asyncio.Event().wait()
        return []

    async def _run(self, request: Any, context: Any) -> list[bytes]:
        self.calls += 1
        number = self.calls
        self.metadata.append(dict(context.invocation_metadata()))
        try:
            if self.arity.request_streams:
                async for _ in request:
                    pass
            return await self.script(number, context)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def _single(self, request: Any, context: Any) -> bytes:
        return (await self._run(request, context))[0]

    async def _stream(self, request: Any, context: Any) -> AsyncIterator[bytes]:
        for message in await self._run(request, context):
            yield message

    def handler(self) -> grpc.RpcMethodHandler:
        body = self._stream if self.arity.response_streams else self._single
        return getattr(grpc, f"{self.arity.value}_rpc_method_handler")(body)


class Cell:
    """A server of one method, and one of the ways to call it."""

    def __init__(self, arity: Arity, way: str) -> None:
        self.arity, self.way = arity, way
        self.backend = Backend(arity)
        self.using = runtime(POLICIES)
        self.channel: Any = None

    def start(self, request: Any = None, **options: Any) -> Any:
        if request is None:
            request = [b"a"] if self.arity.request_streams else b"a"
        return getattr(self.channel, self.arity.value)(METHOD)(request, **options)

    async def collect(self, call: Any) -> list[bytes]:
        return [message async for message in call] if self.arity.response_streams else [await call]

    async def call(self, **options: Any) -> list[bytes]:
        if self.way != "direct":
            return await self.collect(self.start(**options))
        direct = Direct(Destination(self.channel, self.using.chains(Side.CLIENT, "direct")))
        if self.arity.response_streams:
            stream = await direct.open(METHOD, b"a", arity=self.arity, **options)
            messages = [message async for message in stream]
            if stream.outcome.code:
                raise stream.outcome.error or AssertionError(stream.outcome)
            return messages
        outcome = await direct.unary(METHOD, b"a", **options)
        if outcome.code:
            raise outcome.error or AssertionError(outcome)
        return [outcome.value]

    @property
    def expected(self) -> list[bytes]:
        return [b"one", b"two"] if self.arity.response_streams else [b"one"]


@contextlib.asynccontextmanager
async def opened(arity: Arity, way: str) -> AsyncIterator[Cell]:
    cell = Cell(arity, way)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handlers = {"Method": cell.backend.handler()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("race.Service", handlers),))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    if way == "channel":
        channel = mesh.channel(address, using=cell.using)
    else:
        mine = mesh.client_interceptors("own", using=cell.using) if way == "interceptors" else []
        # gRPC's core takes `grpc-previous-rpc-attempts` for its own to write, unless its retries are off.
        options = [("grpc.enable_retries", 0)]
        channel = grpc.aio.insecure_channel(address, interceptors=mine, options=options)
    async with channel as cell.channel:
        try:
            yield cell
        finally:
            await server.stop(None)


WAYS = [
    *((arity, way) for arity in Arity for way in ("channel", "interceptors")),
    (Arity.UNARY_UNARY, "direct"),
    (Arity.UNARY_STREAM, "direct"),
]


async def idle(using: Runtime) -> None:
    gc.collect()  # grpc.aio's intercepted calls are in reference cycles
    await until(lambda: not taken(using))


def hangs(backend: Backend, *numbers: int):
    """Calls of these numbers hang; the others answer."""

    async def script(number, context):
        return await (backend.hang if number in numbers else backend.answer)(number, context)

    return script
