"""One cell of the contract: an arity, a side and a carrier, behind an interface that all carriers have."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from typing import Any

from mesh.call import Arity, Side

from .chains import Chains
from .script import ANSWER, Script, always

SERVICE = "contract.Service"
METHOD = f"/{SERVICE}/Method"
OTHER = f"/{SERVICE}/Other"


class Carrier(enum.Enum):
    """How the chain gets into the calls."""

    AIO_CHANNEL = "aio_channel"
    AIO_INTERCEPTORS = "aio_interceptors"
    SYNC_CHANNEL = "sync_channel"
    SYNC_INTERCEPTORS = "sync_interceptors"

    @property
    def sync(self) -> bool:
        return self.value.startswith("sync")


class Backend:
    """A scripted service: each test says what a call does."""

    def __init__(self, arity: Arity) -> None:
        self.arity = arity
        self.calls = 0
        self.reads_all = True
        self.writes = False
        """Answer streams with `context.write` where that exists."""
        self.script: Script = always(*ANSWER)
        self.entered = threading.Event()
        self.cancelled = threading.Event()
        """A handler noticed that its client has gone."""
        self.methods: list[str] = []
        self.metadata: list[dict[str, Any]] = []
        self.remaining: list[float] = []
        self.requests: list[bytes] = []

    def enter(self, method: str, context: Any) -> Any:
        """Note a call; return what it is to do."""
        self.calls += 1
        actions = self.script(self.calls)
        self.methods.append(method)
        self.metadata.append(dict(context.invocation_metadata()))
        self.remaining.append(context.time_remaining())
        self.entered.set()
        return actions


class Cell(ABC):
    """One arity with the chain on one side, and how to call it. Calls are made and read by the event loop or threads."""

    def __init__(self, arity: Arity, side: Side, carrier: Carrier) -> None:
        self.arity, self.side, self.carrier = arity, side, carrier
        self.chains, self.backend = Chains(), Backend(arity)

    @abstractmethod
    def opened(self) -> contextlib.AbstractAsyncContextManager[Cell]:
        """Run the backend, with a channel to it."""

    @abstractmethod
    def connected(self, address: str) -> contextlib.AbstractAsyncContextManager[None]:
        """Call another address meanwhile."""

    @abstractmethod
    def start(self, request: Any = None, *, method: str = METHOD, **options: Any) -> Any:
        """Start a call; what the API returns."""

    @abstractmethod
    async def collect(self, call: Any) -> list[bytes]:
        """Return all messages, or the one response."""

    @abstractmethod
    async def read(self, call: Any) -> bytes | None:
        """Return the next message; None when there is none."""

    @abstractmethod
    async def ask(self, call: Any, name: str) -> Any:
        """Return what one of a call's methods says: `code`, `details`, ..."""

    @abstractmethod
    def one_shot(self) -> Any:
        """Return requests that can be sent once."""

    @abstractmethod
    def drop(self, call: Any) -> None:
        """Do what it takes, beyond letting go, for a call to end that nobody holds."""

    async def call(self, **options: Any) -> list[bytes]:
        """Make a call as applications do that hold no call object."""
        return await self.collect(self.start(**options))

    @property
    def expected(self) -> list[bytes]:
        return [b"one", b"two"] if self.arity.response_streams else [b"one"]

    async def settled(self) -> None:
        """Wait until both scopes have settled, which a server may do after its client knows."""
        await until(lambda: len(self.chains.per_call.settled) >= len(self.chains.per_call.admitted))


@contextlib.asynccontextmanager
async def opened(arity: Arity, side: Side, carrier: Carrier) -> AsyncIterator[Cell]:
    from .cell_aio import CellAio
    from .cell_sync import CellSync

    cell = (CellSync if carrier.sync else CellAio)(arity, side, carrier)
    async with cell.opened():
        yield cell


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)
