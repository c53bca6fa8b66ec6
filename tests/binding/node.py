"""A small service behind a real mesh server, in this process: what the tests of channels and servers talk to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

import mesh
from mesh.binding.runtime import Runtime
from mesh.policy.table import PolicyTable
from tests.policy.test_table import described, table

SERVICE = "shop.v1.Shop"
GET, PUT, BUY, LIST = (f"/{SERVICE}/{name}" for name in ("Get", "Put", "Buy", "List"))


def runtime(policies: str = "") -> Runtime:
    """A runtime that knows which methods of the service are idempotent: Get and Put are, Buy is not."""
    return Runtime(policies=table(policies, described()) if policies else PolicyTable(pool=described()))


class Node:
    """Answers with its name, unless a test says otherwise; counts what it answers."""

    def __init__(self, name: str = "node") -> None:
        self.name = name
        self.calls = 0
        self.address = ""
        self.server: Any = None
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.answer: Callable[[bytes, Any], Awaitable[bytes]] = self.greet

    async def greet(self, request: bytes, context: Any) -> bytes:
        return self.name.encode()

    async def hang(self, request: bytes, context: Any) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def fail(self, request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.INTERNAL, f"{self.name} fails")
        return b""

    async def _unary(self, request: bytes, context: Any) -> bytes:
        self.calls += 1
        self.entered.set()
        try:
            return await self.answer(request, context)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def _stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for _ in range(3):
            yield await self._unary(request, context)

    def add_to(self, server: Any) -> None:
        """Register as generated code does."""
        unary = grpc.unary_unary_rpc_method_handler(self._unary)
        handlers = {
            "Get": unary,
            "Put": unary,
            "Buy": unary,
            "List": grpc.unary_stream_rpc_method_handler(self._stream),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        server.add_registered_method_handlers(SERVICE, handlers)

    async def start(self, listen: str = "127.0.0.1:0", **options: Any) -> Node:
        options.setdefault("using", runtime())
        options.setdefault("lame_duck", 0.0)
        self.server = mesh.server(self.name, listen=listen, **options)
        self.add_to(self.server)
        self.address = await self.server.start()
        return self

    async def stop(self) -> None:
        await self.server.stop()


@contextlib.asynccontextmanager
async def running(count: int, **options: Any) -> AsyncIterator[list[Node]]:
    """Some nodes, each on a port of its own."""
    async with contextlib.AsyncExitStack() as stack:
        nodes = []
        for index in range(count):
            node = await Node(f"node{index}").start(**options)
            stack.push_async_callback(node.stop)
            nodes.append(node)
        yield nodes


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def plain(node: Node) -> grpc.aio.Channel:
    """A channel without the mesh: it does not turn away from a server by itself."""
    return grpc.aio.insecure_channel(node.address, options=[("grpc.enable_retries", 0)])


async def ended(call: Any) -> Any:
    """Return what a call brings; as a coroutine, which a task can be made of."""
    return await call
