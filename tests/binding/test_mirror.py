"""Copies of requests: sent after the request, waited for by nobody, ended with the channel."""

from __future__ import annotations

import asyncio
import threading
import time

import grpc
import grpc.aio
import pytest

from mesh.binding import mirror_sync
from mesh.binding.alarm import Alarms
from mesh.binding.direct import Direct
from mesh.binding.drive_sync import Turns
from mesh.binding.mirror_aio import Copier
from mesh.binding.runtime import Runtime
from mesh.binding.service_config import ChannelArguments
from mesh.binding.site_aio import Site
from mesh.binding.target import resolve
from mesh.call import Arity, Colour
from mesh.stage.copier import FAILED, Copy

from .coloured import coloured
from .node import BUY, GET, LIST, Node, running, runtime, until

NOBODY = "127.0.0.1:1"
COLOURS = pytest.mark.parametrize("colour", list(Colour), ids=lambda colour: colour.value)


def mirrored(target: str, more: str = "") -> Runtime:
    return runtime(f'defaults: {{mirror: {{target: "{target}"{more}}}}}')


def results(using: Runtime) -> dict[str, float]:
    return {
        dict(series.attributes)["mesh.result"]: series.value
        for series in using.telemetry.snapshot()
        if series.instrument.name == "mesh.client.mirrored" and series.value
    }


def recorded(node: Node) -> list[tuple[bytes, dict[str, str]]]:
    """Have the node keep the requests it gets."""
    seen: list[tuple[bytes, dict[str, str]]] = []

    async def answer(request, context):
        seen.append((request, dict(context.invocation_metadata())))
        return b"nobody reads this"

    node.answer = answer
    return seen


@COLOURS
async def test_a_copy_is_sent_with_the_request_and_its_metadata(colour):
    async with running(2) as [node, other]:
        seen, using = recorded(other), mirrored(other.address)
        async with coloured(colour, node.address, using=using) as channel:
            assert b"node0" == await channel.unary_unary(BUY)(b"42", metadata=(("x-user", "alice"),))
            await until(lambda: results(using) == {"answered": 1})

    [(request, metadata)] = seen
    assert b"42" == request
    assert ("alice", "1") == (metadata["x-user"], metadata["mesh-mirrored"])
    assert 1 == node.calls


@COLOURS
async def test_response_streams_are_read_to_their_end(colour):
    async with running(2) as [node, other]:
        using = mirrored(other.address)
        async with coloured(colour, node.address, using=using) as channel:
            assert 3 == len([part async for part in channel.unary_stream(LIST)(b"")])
            await until(lambda: results(using) == {"answered": 1})

    assert 3 == other.calls


@COLOURS
async def test_a_retried_call_is_copied_once(colour):
    async with running(2) as [node, other]:

        async def answer(request, context):
            if node.calls < 3:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "twice")
            return b"third"

        node.answer = answer
        using = mirrored(other.address)
        async with coloured(colour, node.address, using=using) as channel:
            assert b"third" == await channel.unary_unary(GET)(b"")
            await until(lambda: results(using) == {"answered": 1})

    assert 1 == other.calls


@COLOURS
async def test_a_target_that_nobody_listens_at_is_not_noticed(colour):
    using = mirrored(NOBODY)
    async with running(1) as [node], coloured(colour, node.address, using=using) as channel:
        assert b"node0" == await channel.unary_unary(GET)(b"")
        await until(lambda: results(using) == {"failed": 1})


@COLOURS
async def test_nor_is_one_that_fails(colour):
    async with running(2) as [node, other]:
        other.answer = other.fail
        using = mirrored(other.address)
        async with coloured(colour, node.address, using=using) as channel:
            assert b"node0" == await channel.unary_unary(GET)(b"")
            await until(lambda: results(using) == {"failed": 1})


@COLOURS
async def test_nor_is_one_that_is_no_target(colour, caplog):
    using = mirrored("nowhere")
    async with running(1) as [node], coloured(colour, node.address, using=using) as channel:
        for _ in range(3):
            assert b"node0" == await channel.unary_unary(GET)(b"")
        await until(lambda: results(using) == {"failed": 3})

    assert 1 == len([line for line in caplog.messages if "cannot be copied to nowhere" in line])


@COLOURS
async def test_one_that_hangs_is_given_up_after_its_own_time_and_one_too_many_is_dropped(colour):
    async with running(2) as [node, other]:
        other.answer = other.hang
        using = mirrored(other.address, ", timeout: 0.3s, max_in_flight: 1")
        async with coloured(colour, node.address, using=using) as channel:
            get = channel.unary_unary(GET)
            assert b"node0" == await get(b"")
            await other.entered.wait()  # the copy hangs, and the next call does not
            assert b"node0" == await get(b"")
            assert {"dropped": 1} == results(using)
            await until(lambda: results(using) == {"dropped": 1, "failed": 1})


@COLOURS
async def test_copies_end_with_the_channel(colour):
    async with running(2) as [node, other]:
        other.answer = other.hang
        using = mirrored(other.address, ", timeout: 60s")
        async with coloured(colour, node.address, using=using) as channel:
            await channel.unary_unary(GET)(b"")
            await other.entered.wait()
            began = time.monotonic()

        await until(lambda: results(using) == {"failed": 1})
        assert time.monotonic() - began < 30
        await until(other.cancelled.is_set)


async def test_a_copy_that_threads_send_when_all_is_closed_ends():
    results: list[str] = []
    copier = mirror_sync.Copier(grpc.insecure_channel, Turns(), Alarms())
    copier.close()

    copier.send(Copy(NOBODY, GET, Arity.UNARY_UNARY, b"", (), 1.0, results.append))

    await until(lambda: results == [FAILED])


async def test_without_a_thread_nothing_is_copied(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    results: list[str] = []
    copier = mirror_sync.Copier(grpc.insecure_channel, Turns(), Alarms())
    monkeypatch.setattr(threading.Thread, "start", refuse)

    copier.send(Copy(NOBODY, GET, Arity.UNARY_UNARY, b"", (), 1.0, results.append))

    assert [FAILED] == results


async def test_copies_of_streams_end_with_a_channel_of_threads():
    async with running(2) as [node, other]:
        using = mirrored(other.address, ", timeout: 60s")
        other.answer = other.hang
        async with coloured(Colour.SYNC, node.address, using=using) as channel:
            assert 3 == len([part async for part in channel.unary_stream(LIST)(b"")])
            await other.entered.wait()
        await until(lambda: results(using) == {"failed": 1})
        await until(other.cancelled.is_set)


async def test_threads_that_race_are_all_copied():
    """What is in flight is counted in turns: no copy is lost or counted twice."""
    async with running(2) as [node, other]:
        using = mirrored(other.address)
        async with coloured(Colour.SYNC, node.address, using=using) as channel:
            get = channel.unary_unary(GET)
            await asyncio.gather(*(get(b"") for _ in range(200)))
            await until(lambda: sum(results(using).values()) == 200)

    assert other.calls == results(using)["answered"]


async def test_the_gateways_calls_are_copied():
    async with running(2) as [node, other]:
        seen, using = recorded(other), mirrored(other.address)

        def opened(uri: str, arguments: ChannelArguments) -> grpc.aio.Channel:
            return grpc.aio.insecure_channel(uri, options=arguments)

        site = Site(resolve(node.address, None), using, opened, native=True)
        outcome = await Direct(site.home, site.pick).unary(GET, b"42")
        await until(lambda: results(using) == {"answered": 1})
        await site.close()
        await site.home.close()

    assert b"node0" == outcome.value
    assert [b"42"] == [request for request, _ in seen]


async def test_a_copy_starts_when_what_it_copies_is_on_the_wire():
    """grpc.aio starts a call in the loop's next turn: a copy is not begun in that turn, nor before it."""
    turns: list[str] = []

    def opened(target: str) -> grpc.aio.Channel:
        turns.append("copy")
        return grpc.aio.insecure_channel(target)

    async def request() -> None:
        turns.append("request")

    copier = Copier(opened)
    copier.send(Copy(NOBODY, GET, Arity.UNARY_UNARY, b"", (), 1.0, lambda _: None))
    started = asyncio.ensure_future(request())  # as grpc does, once the stages have heard the request
    await until(lambda: "copy" in turns)
    await started
    await copier.close()

    assert ["request", "copy"] == turns


@pytest.mark.parametrize("late", [False, True])
async def test_a_copy_that_comes_when_all_is_closed_ends_at_once(late):
    results: list[str] = []
    copier = Copier(grpc.aio.insecure_channel)
    if late:
        await copier.close()
    copier.send(Copy(NOBODY, GET, Arity.UNARY_UNARY, b"", (), 1.0, results.append))
    if not late:
        await copier.close()

    await until(lambda: bool(results))

    assert [FAILED] == results


@COLOURS
async def test_a_request_that_only_its_serializer_understands_is_not_copied(colour, caplog):
    using = mirrored(NOBODY)
    async with running(1) as [node], coloured(colour, node.address, using=using) as channel:
        assert b"node0" == await channel.unary_unary(GET, request_serializer=str.encode)("text")
        await until(lambda: results(using) == {"failed": 1})

    assert "str is neither bytes nor a protobuf message" in caplog.text
