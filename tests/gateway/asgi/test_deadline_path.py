"""Deadlines and cancellation from the edge to the last hop: a REST request to the gateway, and three services behind it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

import mesh
from tests.binding.node import GET, Node, runtime
from tests.gateway.asgi.backend import SERVICE
from tests.gateway.asgi.client import Request, call


class Front(Node):
    """Serves the books that the gateway asks for."""

    def add_to(self, server: Any) -> None:
        handlers = {"GetBook": grpc.unary_unary_rpc_method_handler(self._unary)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


class Path:
    """Gateway -> A -> B -> C. Each hop notes the time that is left, and waits before it calls on.

    The wait is longer than what gRPC's core rounds a deadline up by on the wire: 10 ms from 1 s.
    """

    def __init__(self) -> None:
        self.remaining: dict[str, float] = {}
        self.nodes: dict[str, Node] = {}
        self.hangs = False

    @contextlib.asynccontextmanager
    async def open(self, make: Any, policies: str = "", **settings: Any) -> AsyncIterator[Any]:
        async with contextlib.AsyncExitStack() as stack:
            onward = None
            for name, kind in (("C", Node), ("B", Node), ("A", Front)):
                node = self.nodes[name] = kind(name)
                await node.start(using=runtime(policies))
                stack.push_async_callback(node.stop)
                node.answer = self._passing_on(node, onward)
                onward = await stack.enter_async_context(mesh.channel(node.address, using=runtime(policies)))
            yield await make(self.nodes["A"].address, **settings)

    def _passing_on(self, node: Node, onward: Any):
        async def answer(request, context):
            self.remaining[node.name] = context.time_remaining()
            if onward is not None:
                await asyncio.sleep(0.03)
                return await onward.unary_unary(GET)(b"")
            return await node.hang(request, context) if self.hangs else b""

        return answer


@pytest.mark.parametrize(
    "header", [("grpc-timeout", "2S"), ("request-timeout", "2")], ids=lambda pair: pair[0]
)
async def test_the_time_left_falls_from_the_edge_to_the_last_hop(make, header):
    path = Path()
    async with path.open(make) as app:
        response = await call(app, "GET", "/v1/books/one", headers=[header])

    assert 200 == response.status
    assert 2.01 >= path.remaining["A"] > path.remaining["B"] > path.remaining["C"] > 1.0


async def test_the_gateways_own_limit_holds_for_every_hop(make):
    path = Path()
    async with path.open(make, request_timeout=3.0) as app:
        await call(app, "GET", "/v1/books/one", headers=[("grpc-timeout", "1H")])

    assert 3.01 >= path.remaining["A"] > path.remaining["B"] > path.remaining["C"] > 1.5


async def test_each_hop_keeps_its_reserve(make):
    path = Path()
    async with path.open(make, "defaults: {deadline: {hop_reserve: 0.3s}}") as app:
        await call(app, "GET", "/v1/books/one", headers=[("grpc-timeout", "3S")])

    assert path.remaining["B"] < path.remaining["A"] - 0.3
    assert path.remaining["C"] < path.remaining["B"] - 0.3


async def test_the_edges_deadline_ends_the_work_on_every_hop(make):
    path = Path()
    path.hangs = True
    async with path.open(make) as app:
        # Long enough for a busy machine to get to the last hop.
        response = await call(app, "GET", "/v1/books/one", headers=[("grpc-timeout", "1500m")])

        assert 504 == response.status
        for node in path.nodes.values():
            await asyncio.wait_for(node.cancelled.wait(), 5)


async def test_a_client_that_goes_away_cancels_the_last_hop(make):
    path = Path()
    path.hangs = True
    async with path.open(make) as app:
        request = Request("GET", "/v1/books/one")
        answering = asyncio.ensure_future(request.run(app))
        await asyncio.wait_for(path.nodes["C"].entered.wait(), 5)

        request.disconnect()

        for node in path.nodes.values():
            await asyncio.wait_for(node.cancelled.wait(), 5)
        await answering
