"""The cells of the contract: a real grpc.aio server and client in process, the chain on one side of the wire."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import pytest

from mesh import engine
from mesh.binding import client_aio, server_aio
from mesh.call import Arity, Call, Outcome, Side
from mesh.engine import Chain, Retry, Stage

METHOD = "/contract.Service/Method"


class Recorder(Stage):
    """Remembers every admission and settlement it saw."""

    name = "recorder"

    def __init__(self, rejection: Outcome | None = None) -> None:
        self.rejection = rejection
        self.admitted: list[Call] = []
        self.settled: list[Outcome] = []

    def admit(self, call: Call, now: float) -> Outcome | object:
        if self.rejection is not None:
            return self.rejection
        self.admitted.append(call)
        return call

    def settle(self, call: Call, ticket: Any, outcome: Outcome, now: float) -> None:
        assert ticket is call
        self.settled.append(outcome)

    @property
    def codes(self) -> list[int]:
        return [outcome.code for outcome in self.settled]


class Again(Retry):
    """Retries at once while attempts are left."""

    def __init__(self, attempts: int) -> None:
        self.attempts = attempts

    def delay(self, call: Call, outcome: Outcome, now: float, random: Any) -> float | None:
        return 0.0 if call.attempt < self.attempts and call.replayable else None


class Chains:
    """One chain for every method, as `mesh.chain.Chains` would hand it out."""

    def __init__(self) -> None:
        self.per_call, self.per_attempt = Recorder(), Recorder()
        self.extra: tuple[Stage, ...] = ()
        self.retry: Retry = Retry()
        self.broken: list[tuple[Stage, Exception]] = []
        self.clock = asyncio.get_running_loop().time
        self.random = lambda: 0.5

    def find(self, method: str, arity: Arity) -> Chain:
        return Chain(
            (self.per_call, *self.extra),
            (self.per_attempt,),
            self.retry,
            lambda stage, error: self.broken.append((stage, error)),
        )


class Backend:
    """A scripted service: each test says what a call does."""

    def __init__(self, arity: Arity) -> None:
        self.arity = arity
        self.calls = 0
        self.reads_all = True
        self.cancelled = asyncio.Event()
        self.entered = asyncio.Event()
        self.metadata: list[dict[str, Any]] = []
        self.remaining: list[float] = []
        self.script: Callable[[int, Any], Any] = self.answer

    async def answer(self, number: int, context: Any) -> list[bytes]:
        """Answer with two messages, or the first of them."""
        return [b"one", b"two"]

    async def hang(self, number: int, context: Any) -> list[bytes]:
        await asyncio.Event().wait()
        return []

    async def one_then_hang(self, number: int, context: Any) -> list[bytes]:
        await context.write(b"one")
        return await self.hang(number, context)

    def handler(self) -> grpc.RpcMethodHandler:
        async def run(request: Any, context: Any) -> list[bytes]:
            self.calls += 1
            self.metadata.append(dict(context.invocation_metadata()))
            self.remaining.append(context.time_remaining())
            self.entered.set()
            try:
                if self.arity.request_streams:
                    async for _ in request:
                        if not self.reads_all:
                            break
                return await self.script(self.calls, context)
            except asyncio.CancelledError:
                self.cancelled.set()
                raise

        async def single(request: Any, context: Any) -> bytes:
            return (await run(request, context))[0]

        async def stream(request: Any, context: Any) -> AsyncIterator[bytes]:
            for message in await run(request, context):
                yield message

        body = stream if self.arity.response_streams else single
        return getattr(grpc, f"{self.arity.value}_rpc_method_handler")(body)


class Cell:
    """One arity with the chain on one side, and how to call it."""

    def __init__(self, arity: Arity, side: Side, chains: Chains, backend: Backend) -> None:
        self.arity, self.side, self.chains, self.backend = arity, side, chains, backend
        self.channel: Any = None
        self.before: list[Any] = []

    @property
    def sides(self) -> tuple[list[Any], list[Any]]:
        """The interceptors of the client and of the server."""
        if self.side is Side.CLIENT:
            return client_aio.interceptors(self.chains), []  # type: ignore[arg-type]
        return [], server_aio.interceptors(self.chains)  # type: ignore[arg-type]

    def start(self, request: Any = None, **options: Any) -> Any:
        """Start a call; what grpc returns."""
        multicallable = getattr(self.channel, self.arity.value)(METHOD)
        if self.arity.request_streams:
            # One message: grpc.aio answers INTERNAL "Internal error from Core" when a server ends a call while its
            # client still writes, with or without interceptors.
            return multicallable([b"a"] if request is None else request, **options)
        return multicallable(b"a" if request is None else request, **options)

    async def collect(self, call: Any) -> list[bytes]:
        if self.arity.response_streams:
            return [message async for message in call]
        return [await call]

    async def call(self, **options: Any) -> list[bytes]:
        return await self.collect(self.start(**options))

    @property
    def expected(self) -> list[bytes]:
        return [b"one", b"two"] if self.arity.response_streams else [b"one"]

    async def settled(self) -> None:
        """Wait until both scopes have settled, which a server may do after its client knows."""
        async with asyncio.timeout(5):
            while len(self.chains.per_call.settled) < len(self.chains.per_call.admitted):
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def opened(arity: Arity, side: Side) -> AsyncIterator[Cell]:
    backend = Backend(arity)
    cell = Cell(arity, side, Chains(), backend)
    on_client, on_server = cell.sides
    server = grpc.aio.server(interceptors=on_server, options=[("grpc.so_reuseport", 0)])
    handlers = {"Method": backend.handler()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("contract.Service", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", interceptors=on_client) as channel:
        cell.channel = channel
        try:
            yield cell
        finally:
            await server.stop(None)


@pytest.fixture(params=list(Side), ids=lambda side: side.value)
def side(request: pytest.FixtureRequest) -> Side:
    return request.param


@pytest.fixture(params=list(Arity), ids=lambda arity: arity.value)
def arity(request: pytest.FixtureRequest) -> Arity:
    return request.param


@pytest.fixture
async def cell(arity: Arity, side: Side) -> AsyncIterator[Cell]:
    async with opened(arity, side) as cell:
        yield cell


@pytest.fixture
async def client(arity: Arity) -> AsyncIterator[Cell]:
    async with opened(arity, Side.CLIENT) as cell:
        yield cell


@pytest.fixture(params=[Arity.UNARY_STREAM, Arity.STREAM_STREAM], ids=lambda arity: arity.value)
async def stream(request: pytest.FixtureRequest, side: Side) -> AsyncIterator[Cell]:
    async with opened(request.param, side) as cell:
        yield cell


@pytest.fixture(params=[Arity.UNARY_STREAM, Arity.STREAM_STREAM], ids=lambda arity: arity.value)
async def client_stream(request: pytest.FixtureRequest) -> AsyncIterator[Cell]:
    async with opened(request.param, Side.CLIENT) as cell:
        yield cell


__all__ = ["METHOD", "Again", "engine"]
