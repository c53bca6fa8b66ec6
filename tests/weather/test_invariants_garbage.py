"""Garbage in metadata, either way: every call ends with a status, nothing leaks, the next one is served."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import struct
from functools import partial
from typing import Any, Final

import grpc
import grpc.aio
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

import mesh
import mesh.sync
from mesh.call import Arity
from tests.weather.invariant import Ledger, calm, taken, unsettled
from tests.weather.relay import HEDGE, METHODS, RETRY, Relay, quiet
from tests.weather.wreck import _ACK, _END_HEADERS, _HEADERS, _PREFACE, _SETTINGS, Mood, Wreck, _frame

_END_STREAM: Final = 0x1

Headers = tuple[tuple[bytes, bytes], ...]


def _retry_info(seconds: int, nanos: int = 0) -> bytes:
    info = error_details_pb2.RetryInfo()
    info.retry_delay.seconds, info.retry_delay.nanos = seconds, nanos
    packed = AnyMessage()
    packed.Pack(info)
    return base64.b64encode(status_pb2.Status(code=14, details=[packed]).SerializeToString()).rstrip(b"=")


UNAVAILABLE: Final = (b"grpc-status", b"14")
PUSHBACK, DETAILS, LOAD = b"grpc-retry-pushback-ms", b"grpc-status-details-bin", b"endpoint-load-metrics-bin"
NUMBERS = (
    b"",
    b"abc",
    b"-1",
    b"-9223372036854775809",
    b"9" * 400,
    b"1e3",
    b"1.5",
    b"nan",
    b"0x10",
    b" 5",
    b"\xff\xfe",
)
BINARY = (
    b"",
    b"!!!!",
    b"AA",
    base64.b64encode(b"\xff" * 64),
    base64.b64encode(bytes(range(256))),
    b"\xff\x00",
)
TRAILERS: Final[tuple[Headers, ...]] = (
    *((UNAVAILABLE, (PUSHBACK, value)) for value in NUMBERS),
    *((UNAVAILABLE, (DETAILS, value)) for value in BINARY),
    *((UNAVAILABLE, (LOAD, value)) for value in BINARY),
    *((UNAVAILABLE, (DETAILS, _retry_info(*wait))) for wait in ((10**11,), (-5,), (0, -1), (0, 2**31 - 1))),
    (UNAVAILABLE, (PUSHBACK, b"1"), (PUSHBACK, b"junk"), (DETAILS, b"AA"), (DETAILS, b"!"), (LOAD, b"AA"), (LOAD, b"")),
    (UNAVAILABLE, (b"x-large", b"x" * 12_000)),
    (UNAVAILABLE, *((b"x-many", b"x") for _ in range(400))),
    (UNAVAILABLE, (b"grpc-message", b"%zz%ff%")),
    (UNAVAILABLE, UNAVAILABLE),
    ((b"grpc-status", b"0"), (PUSHBACK, b"junk"), (DETAILS, b"!!!!")),
    ((b"grpc-status", b"99"),),
    ((b"grpc-status", b"unwell"),),
    ((b"grpc-status", b""),),
    (),
)  # fmt: skip


def _integer(value: int) -> bytes:
    """RFC 7541, 5.1, with a prefix of 7 bits."""
    if value < 127:
        return bytes((value,))
    value -= 127
    encoded = [127]
    while value >= 128:
        encoded.append(value % 128 + 128)
        value //= 128
    return bytes((*encoded, value))


class Babbler(Wreck):
    """Answers every call with nothing but trailers, as they are: C-core's servers would refuse to send most of them."""

    def __init__(self) -> None:
        super().__init__()
        self.mood = Mood.REFUSES_STREAMS
        self.trailers: Headers = ()

    async def _speak_http_2(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(_PREFACE))
        writer.write(_frame(_SETTINGS, 0, 0, b""))
        while True:
            head = await reader.readexactly(9)
            length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            (stream,) = struct.unpack(">I", head[5:])
            await reader.readexactly(length)
            if kind == _SETTINGS and not flags & _ACK:
                writer.write(_frame(_SETTINGS, _ACK, 0, b""))
            if kind == _HEADERS:
                self.streams += 1
                block = b"\x88\x5f\x10application/grpc"
                for name, value in self.trailers:
                    # "Literal Header Field without Indexing -- New Name" - RFC 7541, 6.2.2
                    block += b"\x00" + _integer(len(name)) + name + _integer(len(value)) + value
                writer.write(_frame(_HEADERS, _END_HEADERS | _END_STREAM, stream, block))


@pytest.mark.parametrize("again", [RETRY, HEDGE], ids=["retry", "hedge"])
async def test_trailers(tmp_path, again):
    relay = Relay(tmp_path, again)
    ledger, using = Ledger(), relay.using
    async with (
        Babbler() as server,
        mesh.channel(server.address, using=using, stages=ledger.stages(client=True)) as relay.channel,
    ):
        for server.trailers in TRAILERS:
            for arity in Arity:
                before = server.streams
                with pytest.raises(grpc.RpcError) as caught:
                    await relay.call(arity, timeout=1, wait_for_ready=True)
                assert caught.value.code() is not grpc.StatusCode.OK
                assert server.streams > before
        del caught
        await calm(lambda: taken(using) | unsettled(ledger))


async def test_trailers_in_threads(tmp_path):
    using, ledger = quiet(Relay(tmp_path).front.file), Ledger()

    def calls(address: str) -> None:
        with mesh.sync.channel(address, using=using, stages=ledger.stages(client=True)) as channel:
            for arity in Arity:
                method = getattr(channel, arity.value)(METHODS[arity])
                request: Any = [b"ok"] if arity.request_streams else b"ok"
                ask = partial(method, request, timeout=1, wait_for_ready=True)
                with pytest.raises(grpc.RpcError):
                    list(ask())

    async with Babbler() as server:
        for server.trailers in TRAILERS:
            await asyncio.to_thread(calls, server.address)
        await calm(lambda: taken(using) | unsettled(ledger))


JUNK = (
    "",
    " ",
    "junk",
    "-1",
    "9" * 400,
    "0.5",
    "low,high",
    "\x7e" * 2_000,
    "delay=, abort=",
    "delay=9e99s, abort=OK",
)
READ: Final = (
    "traceparent", "tracestate", "baggage", "mesh-priority", "mesh-fault", "mesh-mirrored", "idempotency-key",
    "grpc-timeout", "x-anything",
)  # fmt: skip


async def test_request_metadata(tmp_path):
    """What is read is read from a client that is none of ours, and from an application's calls through ours."""
    relay = Relay(tmp_path)
    async with relay.running(), grpc.aio.insecure_channel(relay.addresses[0]) as plain:
        relay.front.onward = None
        ours = relay.channel
        for name in READ:
            for value in JUNK:
                pairs = ((name, value), (name, value))
                for arity in Arity:
                    relay.channel = plain
                    # gRPC's core itself reads `grpc-timeout`, and refuses a blank in front.
                    with contextlib.suppress(grpc.RpcError):
                        await relay.call(arity, metadata=pairs, timeout=2)
                with contextlib.suppress(grpc.RpcError):
                    relay.channel = ours
                    await relay.call(Arity.UNARY_UNARY, metadata=pairs, timeout=2)
        relay.channel = ours
        for arity in Arity:
            await relay.call(arity)
        await calm(lambda: relay.wrong)


REFUSED: Final = (
    (("UPPER", "x"),),
    (("line", "a\nb"),),
    (("number", 5),),
    (("", "x"),),
    (("text", b"\xff\xfe"),),
    (("x-bin", "text"),),
    (("umlaut", "ä"),),
    ((":path", "/"),),
    ("no pair",),
    (("grpc-previous-rpc-attempts", "-7"),),
)


@pytest.mark.parametrize("metadata", REFUSED, ids=repr)
@pytest.mark.parametrize("arity", Arity)
async def test_metadata_that_cannot_be_sent(tmp_path, arity, metadata):
    """grpc raises all kinds of errors, some when the call is made, some later; the call settles all the same."""
    relay = Relay(tmp_path)
    async with relay.running():
        await relay.call(arity, wait_for_ready=True)
        # Anything but a hang.
        with contextlib.suppress(Exception):
            await relay.call(arity, metadata=metadata, timeout=2)
        await relay.call(arity)
        await calm(lambda: relay.wrong)


def _raise(_: Any) -> bytes:
    raise ValueError("no message")


@pytest.mark.parametrize("again", [RETRY, HEDGE], ids=["retry", "hedge"])
@pytest.mark.parametrize("broken", [(_raise, None), (None, _raise)], ids=["request", "response"])
@pytest.mark.parametrize("arity", Arity)
async def test_messages_that_cannot_be_made(tmp_path, arity, broken, again):
    """A serializer or deserializer raises, of which grpc.aio makes None; also for a call that nobody waits for."""
    relay = Relay(tmp_path, again)
    async with relay.running():
        await relay.call(arity, wait_for_ready=True)
        method = getattr(relay.channel, arity.value)(METHODS[arity], *broken)

        def start() -> Any:
            return method([b"ok"] if arity.request_streams else b"ok", timeout=2)

        with contextlib.suppress(Exception):
            call = start()
            if arity.response_streams:
                async for _ in call:
                    pass
            else:
                await call
        with contextlib.suppress(Exception):
            call = start()
        del call
        await calm(lambda: relay.wrong)
