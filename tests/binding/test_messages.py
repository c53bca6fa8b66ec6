"""Size limits, counters, idle timeouts, ages and validation, between a real server and real clients."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import gc
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2

import mesh
from mesh.binding import hearing_aio
from mesh.binding.channel import client_interceptors
from mesh.binding.destination import Destination
from mesh.binding.direct import Direct
from mesh.binding.runtime import Runtime
from mesh.call import Side
from mesh.errors import ConfigError
from mesh.policy.table import PolicyTable
from tests import ruled
from tests.binding.node import until
from tests.policy.test_table import table

SERVICE = "chat.v1.Chat"
ASK, LISTEN, TELL, TALK = (f"/{SERVICE}/{name}" for name in ("Ask", "Listen", "Tell", "Talk"))


class Chat:
    """Answers each request with messages as long as it says: b"3" is answered with b"..." ."""

    def __init__(self) -> None:
        self.entered = 0
        self.cancelled = 0
        self.left = 0
        self.received: list[bytes] = []
        self.silent = asyncio.Event()
        """Set when the handler has nothing more to say, and waits."""

    async def ask(self, request: bytes, context: Any) -> bytes:
        self.entered += 1
        return b"." * int(request)

    async def listen(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        self.entered += 1
        for size in request.split(b","):
            if size == b"wait":
                await self.wait()
            elif size == b"sleep":
                await asyncio.sleep(0.05)
            else:
                yield b"." * int(size)

    async def tell(self, requests: Any, context: Any) -> bytes:
        self.entered += 1
        try:
            async for message in requests:
                self.received.append(message)
            # grpc.aio shows a handler the end of the stream first, and then that its client has cancelled.
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.left += 1
        return b"."

    async def talk(self, _: Any, context: Any) -> None:
        """Read and write, as the other of grpc.aio's two ways has it."""
        self.entered += 1
        try:
            while (message := await context.read()) is not grpc.aio.EOF:
                self.received.append(message)
                if message == b"wait":
                    await self.wait()
                await context.write(b"." * int(message))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.left += 1

    async def wait(self) -> None:
        self.silent.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def add_to(self, server: Any) -> None:
        handlers = {
            "Ask": grpc.unary_unary_rpc_method_handler(self.ask),
            "Listen": grpc.unary_stream_rpc_method_handler(self.listen),
            "Tell": grpc.stream_unary_rpc_method_handler(self.tell),
            "Talk": grpc.stream_stream_rpc_method_handler(self.talk),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


def runtime(section: str) -> Runtime:
    return Runtime(policies=table(f"{{defaults: {{{section}}}}}") if section else PolicyTable())


class Pair:
    """A server and a channel to it, each with policies of its own."""

    def __init__(
        self, chat: Chat, channel: grpc.aio.Channel, address: str, server: Runtime, client: Runtime
    ) -> None:
        self.chat, self.channel, self.address, self.server, self.client = (
            chat,
            channel,
            address,
            server,
            client,
        )

    def ask(self, request: bytes, **options: Any) -> Any:
        return self.channel.unary_unary(ASK)(request, **options)

    def listen(self, request: bytes, **options: Any) -> Any:
        return self.channel.unary_stream(LISTEN)(request, **options)

    def tell(self, requests: Any = None, **options: Any) -> Any:
        return self.channel.stream_unary(TELL)(requests, **options)

    def talk(self, requests: Any = None, **options: Any) -> Any:
        return self.channel.stream_stream(TALK)(requests, **options)


@contextlib.asynccontextmanager
async def pair(*, server: str = "", client: str = "", plain: bool = False) -> AsyncIterator[Pair]:
    """Start both; `plain`: the client's chain is in interceptors on a channel of grpc's own."""
    chat, on_server, on_client = Chat(), runtime(server), runtime(client)
    node = mesh.server("chat", listen="127.0.0.1:0", using=on_server, lame_duck=0.0)
    chat.add_to(node)
    address = await node.start()
    made = (
        grpc.aio.insecure_channel(address, interceptors=client_interceptors("chat", using=on_client))
        if plain
        else mesh.channel(address, using=on_client)
    )
    try:
        async with made as channel:
            yield Pair(chat, channel, address, on_server, on_client)
    finally:
        await node.stop()
        assert [] == alarms()


def alarms() -> list[asyncio.TimerHandle]:
    """Timers of streams that are still set."""
    scheduled: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return [one for one in scheduled if one._callback is hearing_aio.watch and not one.cancelled()]  # type: ignore[attr-defined]


async def refused(call: Any) -> grpc.aio.AioRpcError:
    """Return the error of a call with one response, or a stream that is read to the end."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (_read(call) if hasattr(call, "__aiter__") else call)
    return caught.value


async def _read(call: Any) -> None:
    async for _ in call:
        pass


def counted(runtime: Runtime, name: str) -> dict[str, float]:
    found: collections.Counter[str] = collections.Counter()
    for series in runtime.telemetry.aggregates.snapshot():
        if series.instrument.name == name:
            found[dict(series.attributes)["mesh.direction"]] += series.value
    return found


# Sizes

SMALL_REQUESTS = "message_limit: {max_request_bytes: 4}"
SMALL_RESPONSES = "message_limit: {max_response_bytes: 4}"
PLAIN = pytest.mark.parametrize("plain", [False, True], ids=["channel", "interceptors"])


@PLAIN
async def test_a_large_request_does_not_leave_its_client(plain):
    async with pair(client=SMALL_REQUESTS, plain=plain) as both:
        for call in (
            both.ask(b"00001"),
            both.listen(b"00001"),
            both.tell([b"1", b"00001"]),
            both.talk([b"00001"]),
        ):
            error = await refused(call)

            assert grpc.StatusCode.RESOURCE_EXHAUSTED is error.code()
            assert "the request has 5 bytes" in error.details()

        assert b"00001" not in both.chat.received
        assert b"...." == await both.ask(b"4")


@PLAIN
async def test_a_large_request_does_not_enter_its_handler(plain):
    async with pair(server=SMALL_REQUESTS, plain=plain) as both:
        for call in (both.ask(b"00001"), both.listen(b"00001")):
            error = await refused(call)

            assert grpc.StatusCode.RESOURCE_EXHAUSTED is error.code()
            assert "the request has 5 bytes" in error.details()

        assert 0 == both.chat.entered


async def test_a_large_request_of_a_stream_ends_its_handler():
    async with pair(server=SMALL_REQUESTS) as both:
        for call in (both.tell([b"1", b"00001"]), both.talk([b"1", b"00001"])):
            error = await refused(call)

            assert grpc.StatusCode.RESOURCE_EXHAUSTED is error.code()

        assert [b"1", b"1"] == both.chat.received
        assert 2 == both.chat.cancelled


@pytest.mark.parametrize("side", Side)
async def test_a_large_response_is_refused_on_both_sides(side):
    async with pair(**{side.value: SMALL_RESPONSES}) as both:
        for call in (both.ask(b"5"), both.listen(b"1,5"), both.talk([b"1", b"5"])):
            error = await refused(call)

            assert grpc.StatusCode.RESOURCE_EXHAUSTED is error.code()
            assert "the response has 5 bytes" in error.details()

        assert b"...." == await both.ask(b"4")


async def test_a_response_that_is_refused_is_what_the_call_object_says_too():
    async with pair(client=SMALL_RESPONSES) as both:
        call = both.listen(b"1,5")

        assert b"." == await call.read()
        with pytest.raises(grpc.aio.AioRpcError):
            await call.read()
        assert grpc.StatusCode.RESOURCE_EXHAUSTED is await call.code()
        assert call.done()
        call = both.ask(b"5")
        assert grpc.StatusCode.RESOURCE_EXHAUSTED is await call.code()
        assert "the response has 5 bytes" in await call.details()


async def test_written_requests_are_heard():
    async with pair(client=SMALL_REQUESTS) as both:
        for call in (both.tell(), both.talk()):
            await call.write(b"1")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call.write(b"00001")

            assert grpc.StatusCode.RESOURCE_EXHAUSTED is caught.value.code()
            assert grpc.StatusCode.RESOURCE_EXHAUSTED is await call.code()

        assert b"00001" not in both.chat.received


@PLAIN
async def test_a_refused_stream_of_requests_is_cut_not_completed(plain):
    """A server must not take the first half of an upload for the whole."""
    async with pair(client=SMALL_REQUESTS, plain=plain) as both:

        async def upload() -> AsyncIterator[bytes]:
            yield b"1"
            await until(lambda: both.chat.received == [b"1"])
            yield b"00001"

        await refused(both.tell(upload()))
        await until(lambda: both.chat.cancelled == 1)

        assert [b"1"] == both.chat.received


async def test_the_gateways_calls_are_heard():
    async with pair() as both:
        using = runtime("message_limit: {max_request_bytes: 4, max_response_bytes: 4}")
        async with grpc.aio.insecure_channel(both.address) as channel:
            direct = Direct(Destination(channel, using.chains(Side.CLIENT, "chat")))

            assert b"...." == (await direct.unary(ASK, b"4")).value
            assert 8 == (await direct.unary(ASK, b"00001")).code
            assert 8 == (await direct.unary(ASK, b"5")).code
            stream = await direct.stream(LISTEN, b"1,5")
            assert 8 == (await refused(stream)).code().value[0]
            assert 8 == stream.outcome.code


# Counters


@PLAIN
async def test_both_sides_count_the_messages_of_streams(plain):
    async with pair(
        server="metrics: {messages: true}", client="metrics: {messages: true}", plain=plain
    ) as both:
        await both.ask(b"1")
        assert 3 == len([message async for message in both.listen(b"1,1,1")])
        await both.tell([b"1", b"1"])
        call = both.talk()
        await call.write(b"1")
        await call.read()
        await call.done_writing()
        assert grpc.aio.EOF is await call.read()

        assert {"sent": 1 + 2 + 1, "received": 3 + 1 + 1} == counted(both.client, "mesh.client.messages")
        assert {"received": 1 + 2 + 1, "sent": 3 + 1 + 1} == counted(both.server, "mesh.server.messages")


# Time

IDLE = "stream: {idle_timeout: 0.2s}"
AGE = "stream: {max_age: 0.2s}"


@pytest.mark.parametrize("side", Side)
async def test_a_quiet_stream_of_responses_ends(side):
    async with pair(**{side.value: IDLE}) as both:
        call = both.listen(b"1,wait")

        error = await refused(call)

        assert grpc.StatusCode.ABORTED is error.code()
        assert "the stream had no message for 0.2s, its limit" == error.details()
        await until(lambda: both.chat.cancelled == 1)


@pytest.mark.parametrize("side", Side)
async def test_a_stream_that_never_begins_ends(side):
    async with pair(**{side.value: IDLE}) as both:
        assert grpc.StatusCode.ABORTED is (await refused(both.listen(b"wait"))).code()
        await until(lambda: both.chat.cancelled == 1)


@PLAIN
@pytest.mark.parametrize("side", Side)
async def test_a_quiet_stream_of_requests_ends(side, plain):
    async with pair(**{side.value: IDLE}, plain=plain) as both:

        async def requests() -> AsyncIterator[bytes]:
            yield b"1"
            await asyncio.Event().wait()

        assert grpc.StatusCode.ABORTED is (await refused(both.tell(requests()))).code()
        assert grpc.StatusCode.ABORTED is (await refused(both.talk(requests()))).code()
        await until(lambda: both.chat.left == 2)


async def test_a_stream_that_nobody_reads_ends_and_says_so_to_who_reads_late():
    async with pair(client=IDLE) as both:
        call = both.listen(b"1,wait")
        assert b"." == await call.read()

        await until(call.done)

        assert grpc.StatusCode.ABORTED is await call.code()
        assert grpc.StatusCode.ABORTED is (await refused(call)).code()
        await until(lambda: both.chat.cancelled == 1)


@pytest.mark.parametrize("side", Side)
async def test_messages_keep_a_stream_alive(side):
    async with pair(**{side.value: IDLE}) as both:
        assert 12 == len([message async for message in both.listen(b"1,sleep," * 11 + b"1")])


@pytest.mark.parametrize("side", Side)
async def test_a_busy_stream_ends_when_it_is_old(side):
    async with pair(**{side.value: AGE}) as both:
        error = await refused(both.listen(b"1,sleep," * 100 + b"1"))

        assert grpc.StatusCode.ABORTED is error.code()
        assert "the stream is 0.2s old, its limit" == error.details()


@pytest.mark.parametrize("side", Side)
async def test_calls_without_a_stream_have_the_time_they_need(side):
    async with pair(**{side.value: AGE}) as both:
        assert b"." == await both.ask(b"1")


async def test_the_deadline_still_counts():
    async with pair(client="stream: {idle_timeout: 20s, max_age: 30s}") as both:
        assert (
            grpc.StatusCode.DEADLINE_EXCEEDED is (await refused(both.listen(b"1,wait", timeout=0.1))).code()
        )
        await until(lambda: [] == alarms())


@pytest.mark.parametrize("side", Side)
async def test_a_cancelled_stream_is_cancelled_and_not_aborted(side):
    async with pair(**{side.value: "stream: {idle_timeout: 20s}"}) as both:
        call = both.listen(b"1,wait")
        reading = asyncio.ensure_future(refused(call))
        await both.chat.silent.wait()

        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

        assert call.cancelled()
        await until(lambda: both.chat.cancelled == 1 and [] == alarms())


async def test_a_dropped_stream_lets_its_timer_go():
    async with pair(client="stream: {idle_timeout: 20s}") as both:
        call = both.listen(b"1,wait")
        assert b"." == await call.read()
        assert 1 == len(alarms())

        del call
        gc.collect()

        await until(lambda: [] == alarms())


# Rules


async def test_a_request_that_breaks_its_rules_never_enters_the_handler():
    async with ruled.orders() as (service, channel):
        order, receipt = ruled.message("Order"), ruled.message("Receipt")
        call = channel.unary_unary(ruled.PLACE, order.SerializeToString, receipt.FromString)

        error = await refused(call(order(buyer="x")))

        assert grpc.StatusCode.INVALID_ARGUMENT is error.code()
        assert "buyer: must be at least 2 characters" == error.details()
        status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
        bad = error_details_pb2.BadRequest()
        assert status.details[0].Unpack(bad)
        assert [("buyer", "STRING_MIN_LEN")] == [(one.field, one.reason) for one in bad.field_violations]
        assert 0 == service.placed
        assert "me" == (await call(order(buyer="me"))).id


async def test_each_request_of_a_stream_is_checked():
    async with ruled.orders() as (service, channel):
        order = ruled.message("Order")
        call = channel.stream_unary(ruled.UPLOAD, order.SerializeToString)

        error = await refused(call([order(buyer="me"), order(buyer="x")]))

        assert grpc.StatusCode.INVALID_ARGUMENT is error.code()
        assert 1 == service.placed


async def test_a_server_whose_rules_do_not_compile_does_not_start():
    with pytest.raises(ConfigError, match="Broken: validation"):
        async with ruled.orders("Broken"):
            pass
