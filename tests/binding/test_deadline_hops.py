"""Deadlines and cancellation across three real servers: the first calls the second, the second the third."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest

import mesh

from .node import GET, LIST, Node, runtime


class Path:
    """A -> B -> C. Each notes the time that is left when it is first called, and waits before it calls on.

    The wait is longer than what gRPC's core rounds a deadline up by on the wire: 10 ms from 1 s, 100 ms from 10 s.
    """

    def __init__(self, pause: float = 0.02) -> None:
        self.pause = pause
        self.remaining: dict[str, float | None] = {}
        self.nodes: dict[str, Node] = {}
        self.last: Node | None = None

    @contextlib.asynccontextmanager
    async def open(self, policies: str = "", *, method: str = GET) -> AsyncIterator[grpc.aio.Channel]:
        async with contextlib.AsyncExitStack() as stack:
            following = None
            for name in "CBA":
                node = await Node(name).start(using=runtime(policies))
                stack.push_async_callback(node.stop)
                node.answer = self._passing_on(node, following, method)
                following = await stack.enter_async_context(
                    mesh.channel(node.address, using=runtime(policies))
                )
                self.nodes[name] = node
            yield following

    def _passing_on(self, node: Node, following, method: str):
        async def answer(request, context):
            self.remaining.setdefault(node.name, context.time_remaining())
            if following is not None:
                await asyncio.sleep(self.pause)
                if method == LIST:
                    return b"".join([message async for message in following.unary_stream(LIST)(request)])
                return await following.unary_unary(method)(request)
            if request == b"hang":
                return await node.hang(request, context)
            return b"done"

        return answer


async def test_the_time_left_falls_from_hop_to_hop():
    """Only the first call has a timeout: the others inherit what is left, not their own default of 15 s."""
    path = Path()
    async with path.open() as channel:
        assert b"done" == await channel.unary_unary(GET)(b"", timeout=5)

    assert 5.0 >= path.remaining["A"] > path.remaining["B"] > path.remaining["C"] > 0.0


async def test_without_a_timeout_the_first_default_holds_for_all():
    path = Path(pause=0.15)
    async with path.open() as channel:
        await channel.unary_unary(GET)(b"")

    assert 15.0 >= path.remaining["A"] > path.remaining["B"] > path.remaining["C"] > 0.0


async def test_each_hop_keeps_its_reserve():
    path = Path()
    async with path.open("defaults: {deadline: {hop_reserve: 0.5s}}") as channel:
        await channel.unary_unary(GET)(b"", timeout=5)

    assert path.remaining["B"] < path.remaining["A"] - 0.5
    assert path.remaining["C"] < path.remaining["B"] - 0.5


async def test_a_hop_with_no_time_left_does_not_call_the_next():
    path = Path()
    async with path.open("defaults: {deadline: {hop_reserve: 3s}}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(GET)(b"", timeout=5)

    assert grpc.StatusCode.UNKNOWN == caught.value.code()  # B's handler let the error of its call to C out
    assert "no time is left for this call" in caught.value.details()
    assert {"A", "B"} == set(path.remaining)


async def test_streams_inherit_too():
    path = Path()
    async with path.open(method=LIST) as channel:
        assert b"done" * 27 == b"".join([part async for part in channel.unary_stream(LIST)(b"", timeout=5)])

    assert 5.0 >= path.remaining["A"] > path.remaining["B"] > path.remaining["C"] > 0.0


async def test_the_deadline_ends_the_work_on_every_hop():
    path = Path()
    async with path.open() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(GET)(b"hang", timeout=0.3)
        assert grpc.StatusCode.DEADLINE_EXCEEDED == caught.value.code()

        await asyncio.wait_for(path.nodes["C"].cancelled.wait(), 5)


@pytest.mark.parametrize("how", ["cancel the call", "cancel the task"])
async def test_the_last_hop_sees_the_first_calls_cancellation(how):
    path = Path()
    async with path.open() as channel:
        call = channel.unary_unary(GET)(b"hang", timeout=30)
        task = asyncio.ensure_future(_wait(call))
        await asyncio.wait_for(path.nodes["C"].entered.wait(), 5)

        (call if how == "cancel the call" else task).cancel()

        for name in "ABC":
            await asyncio.wait_for(path.nodes[name].cancelled.wait(), 5)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_task_left_behind_is_not_bound_by_the_deadline_of_its_call():
    """A handler may start work that outlives its answer; nobody waits for that any more."""
    path, later, done = Path(), asyncio.Event(), asyncio.Event()
    timeouts = []
    async with path.open() as channel, mesh.channel(path.nodes["C"].address, using=runtime()) as onward:

        async def background():
            await later.wait()
            path.remaining.clear()
            await onward.unary_unary(GET)(b"")
            timeouts.append(path.remaining["C"])
            done.set()

        async def answer(request, context):
            path.background = asyncio.ensure_future(background())
            return b"early"

        path.nodes["A"].answer = answer
        assert b"early" == await channel.unary_unary(GET)(b"", timeout=0.2)
        await asyncio.sleep(0.25)
        later.set()
        await asyncio.wait_for(done.wait(), 5)

    assert timeouts[0] > 10.0


async def _wait(call):
    return await call
