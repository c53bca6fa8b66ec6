"""Which cells there are: every arity, on the client by every carrier, on the server by both kinds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from mesh.call import Arity, Side

from .cell import Carrier, Cell, opened

STREAMS = [Arity.UNARY_STREAM, Arity.STREAM_STREAM]
SINGLES = [Arity.UNARY_UNARY, Arity.STREAM_UNARY]
CLIENTS = [(Side.CLIENT, carrier) for carrier in Carrier]
SERVERS = [(Side.SERVER, Carrier.AIO_CHANNEL), (Side.SERVER, Carrier.SYNC_CHANNEL)]


def named(place: tuple[Side, Carrier]) -> str:
    side, carrier = place
    return f"client_{carrier.value}" if side is Side.CLIENT else f"server_{carrier.value.partition('_')[0]}"


@pytest.fixture(params=[*CLIENTS, *SERVERS], ids=named)
def place(request: pytest.FixtureRequest) -> tuple[Side, Carrier]:
    return request.param


@pytest.fixture(params=list(Carrier), ids=lambda carrier: carrier.value)
def carrier(request: pytest.FixtureRequest) -> Carrier:
    return request.param


@pytest.fixture(params=list(Arity), ids=lambda arity: arity.value)
def arity(request: pytest.FixtureRequest) -> Arity:
    return request.param


@pytest.fixture(params=STREAMS, ids=lambda arity: arity.value)
def streaming(request: pytest.FixtureRequest) -> Arity:
    return request.param


@pytest.fixture(params=SINGLES, ids=lambda arity: arity.value)
def single(request: pytest.FixtureRequest) -> Arity:
    return request.param


@pytest.fixture
async def cell(arity: Arity, place: tuple[Side, Carrier]) -> AsyncIterator[Cell]:
    """Any cell."""
    async with opened(arity, *place) as cell:
        yield cell


@pytest.fixture
async def client(arity: Arity, carrier: Carrier) -> AsyncIterator[Cell]:
    """A cell with the chain on the client."""
    async with opened(arity, Side.CLIENT, carrier) as cell:
        yield cell


@pytest.fixture
async def stream(streaming: Arity, place: tuple[Side, Carrier]) -> AsyncIterator[Cell]:
    """Any cell with a stream of responses."""
    async with opened(streaming, *place) as cell:
        yield cell


@pytest.fixture
async def client_stream(streaming: Arity, carrier: Carrier) -> AsyncIterator[Cell]:
    """A cell with a stream of responses and the chain on the client."""
    async with opened(streaming, Side.CLIENT, carrier) as cell:
        yield cell
