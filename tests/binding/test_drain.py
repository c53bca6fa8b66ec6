"""How a server drains, asked by its process or by a signal: no call fails."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import mesh

from .node import BUY, ended, plain, running, runtime, until
from .process import Process

Health = health_pb2.HealthCheckResponse


async def test_it_says_so_first_then_finishes_what_is_in_flight():
    finish = asyncio.Event()

    async def answer(request, context):
        if request == b"slow":
            await finish.wait()
        return b"done"

    async with running(2, lame_duck=0.5) as nodes, plain(nodes[0]) as channel:
        leaving, staying = nodes
        leaving.answer = answer
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert Health.SERVING == (await watch.read()).status
        slow = asyncio.ensure_future(ended(channel.unary_unary(BUY)(b"slow")))
        await leaving.entered.wait()
        addresses = [leaving.address, staying.address]
        async with mesh.channel(addresses, using=runtime()) as meshed:
            await _met(meshed, {b"done", b"node1"})

            draining = asyncio.ensure_future(leaving.server.drain())

            assert Health.NOT_SERVING == (await watch.read()).status
            assert not draining.done()
            # Whoever does not listen is still served: this is what the lame duck is for.
            assert b"done" == await channel.unary_unary(BUY)(b"")
            await asyncio.sleep(0.2)
            assert {b"node1"} == {await meshed.unary_unary(BUY)(b"") for _ in range(20)}

            await asyncio.sleep(0.5)
            assert not draining.done()
            finish.set()
            assert b"done" == await slow
            await asyncio.wait_for(draining, 5)


async def test_a_call_that_takes_longer_than_the_grace_is_cancelled():
    async with running(1, grace=0.2) as [node], plain(node) as channel:
        node.answer = node.hang
        hanging = asyncio.ensure_future(ended(channel.unary_unary(BUY)(b"")))
        await node.entered.wait()
        begun = time.monotonic()

        await node.server.drain()

        assert 0.2 <= time.monotonic() - begun < 5.0
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await hanging
        assert caught.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        await asyncio.wait_for(node.cancelled.wait(), 5)


async def test_watchers_of_health_do_not_hold_up_the_drain():
    async with running(1, grace=60.0) as [node], plain(node) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(3)]
        for watch in watches:
            assert Health.SERVING == (await watch.read()).status

        await asyncio.wait_for(node.server.drain(), 5)

        for watch in watches:
            with pytest.raises(grpc.aio.AioRpcError, match="the server is stopping"):
                await _read_all(watch)


async def test_draining_twice_drains_once():
    async with running(1, lame_duck=0.1) as [node]:
        before = asyncio.all_tasks()
        first, second = (asyncio.ensure_future(node.server.drain()) for _ in range(2))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        drains = [task for task in asyncio.all_tasks() - before - {first, second} if "_drain" in repr(task)]
        await asyncio.gather(first, second)
        await node.server.drain()

        assert 1 == len(drains)
        assert not await node.server.wait_for_termination(1.0)


async def test_a_server_that_was_not_started_has_nothing_to_drain():
    await mesh.server("idle", using=runtime()).drain()
    await mesh.server("idle", using=runtime()).stop()


async def test_stopping_ends_a_drain():
    async with running(1, grace=60.0) as [node], plain(node) as channel:
        node.answer = node.hang
        hanging = asyncio.ensure_future(ended(channel.unary_unary(BUY)(b"")))
        await node.entered.wait()
        draining = asyncio.ensure_future(node.server.drain())
        await asyncio.sleep(0.1)

        await asyncio.wait_for(node.server.stop(), 5)

        await asyncio.wait_for(node.cancelled.wait(), 5)
        await asyncio.wait({draining, hanging}, timeout=5)
        assert draining.done()
        assert hanging.exception() is not None


# As a process


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_under_load_ends_it_well(number):
    """Calls go on until it is gone; what it had accepted, it answers."""
    process = await Process.start("one", lame_duck=0.2)
    async with mesh.channel(process.address, using=runtime()) as channel:
        answers = 0

        async def load() -> None:
            nonlocal answers
            with contextlib.suppress(grpc.aio.AioRpcError):  # when it is gone
                while await channel.unary_unary(BUY)(b"", timeout=5):
                    answers += 1

        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(load())
            await until(lambda: answers > 50)
            process.signal(number)

    assert (0, "cut 0") == await process.ended()


@pytest.mark.slow
async def test_a_second_signal_stops_at_once():
    """The grace is 30 s, and a call hangs."""
    process = await Process.start("one", lame_duck=0.1)
    async with grpc.aio.insecure_channel(process.address) as channel:
        assert b"one" == await channel.unary_unary(BUY)(b"")
        hanging = asyncio.ensure_future(ended(channel.unary_unary(BUY)(b"hang")))
        await asyncio.sleep(0.2)
        process.signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        assert not hanging.done()
        begun = time.monotonic()

        process.signal(signal.SIGTERM)

        assert (0, "cut 1") == await process.ended()
        assert time.monotonic() - begun < 5.0
        assert isinstance((await asyncio.gather(hanging, return_exceptions=True))[0], grpc.aio.AioRpcError)


async def _read_all(stream) -> None:
    while await stream.read() is not grpc.aio.EOF:
        pass


async def _met(channel, names: set[bytes]) -> None:
    async with asyncio.timeout(10):
        seen: set[bytes] = set()
        while seen != names:
            seen.add(await channel.unary_unary(BUY)(b"", wait_for_ready=True))
