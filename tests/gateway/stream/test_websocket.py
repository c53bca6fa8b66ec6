"""Every kind of method over a WebSocket, over real sockets: frames, how it ends, who may open one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.gateway.server.process import GatewayProcess
from tests.gateway.stream.backend import Backend

pytestmark = pytest.mark.slow


class Client:
    """One gateway, and sockets to it."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self.gateway = gateway

    def open(self, path: str, **options: Any) -> Any:
        return connect(f"ws://127.0.0.1:{self.gateway.port}{path}", **options)


@pytest.fixture
async def client(serve: Any) -> AsyncIterator[Client]:
    gateway = serve(
        "max_body_bytes: 100000",
        "streaming: {keepalive: 0.2s, idle_timeout: 0.5s}",
        "cors: {allow_origins: ['https://shop.example.com']}",
    )
    # Waiting for the process in a thread, for the backend is in this loop.
    await asyncio.to_thread(lambda: gateway.port)
    yield Client(gateway)
    gateway.signal()
    assert await asyncio.to_thread(gateway.end) == 0


async def frames(socket: Any) -> list[Any]:
    """Return every frame up to the close, JSON read."""
    received = []
    try:
        while True:
            frame = await asyncio.wait_for(socket.recv(), 5)
            received.append(json.loads(frame) if isinstance(frame, str) else frame)
    except ConnectionClosed:
        return received


async def test_a_server_stream(client):
    async with client.open("/v1/topics/go?count=2") as socket:
        received = await frames(socket)
    assert [frame["result"]["number"] for frame in received] == ["1", "2"]
    assert (socket.close_code, socket.close_reason) == (1000, "")


async def test_a_failure_is_a_frame_and_a_close_code(client):
    async with client.open("/v1/topics/go?count=1&end=ABORTED") as socket:
        received = await frames(socket)
    assert received[-1]["error"]["code"] == 10
    assert (socket.close_code, socket.close_reason) == (4010, "it broke")


async def test_a_failure_before_the_first_message_is_told_the_same_way(client):
    async with client.open("/v1/topics/go?end=NOT_FOUND") as socket:
        assert (await frames(socket))[0]["error"]["code"] == 5
    assert socket.close_code == 4005


async def test_a_client_stream_ends_with_an_empty_frame(client, backend):
    # The path of a server stream, too, by GET: the one that is the client's has a POST there, and GET comes first.
    async with client.open("/v1/chat") as socket:
        await socket.send('{"text": "a"}')
        assert json.loads(await socket.recv())["result"]["text"] == "A"
        await socket.send("")
        assert await frames(socket) == []
    assert socket.close_code == 1000


async def test_binary_frames_are_protobuf(client, backend):
    async with client.open("/v1/chat") as socket:
        await socket.send(backend.new("Item", text="a").SerializeToString())
        answer = backend.new("Item")
        answer.MergeFromString(await socket.recv())
        assert answer.text == "A"
        await socket.send("")
        assert await frames(socket) == []
    assert socket.close_code == 1000


async def test_a_subprotocol_says_what_frames_are(client, backend):
    async with client.open("/v1/topics/go?count=1", subprotocols=["mesh.v1.proto"]) as socket:
        assert socket.subprotocol == "mesh.v1.proto"
        (frame,) = await frames(socket)
    answer = backend.new("Item")
    answer.MergeFromString(frame)
    assert answer.number == 1


async def test_a_request_that_is_a_body_is_the_first_frame(client):
    async with client.open("/v1/topics:watch") as socket:
        await socket.send('{"count": 1, "topic": "go"}')
        (frame,) = await frames(socket)
    assert frame["result"]["topic"] == "go"


async def test_a_unary_method(client):
    async with client.open("/v1/topics/go/latest") as socket:
        assert (await frames(socket))[0]["result"]["topic"] == "go"
    assert socket.close_code == 1000


async def test_raw_bytes_are_binary_frames(client):
    async with client.open("/v1/topics/go/raw?count=2") as socket:
        assert await frames(socket) == [b"0\n", b"1\n"]


async def test_raw_uploads(client):
    async with client.open("/v1/raw") as socket:
        await socket.send("some")
        await socket.send("bytes")
        await socket.send("")
        assert (await frames(socket))[0]["result"]["bytes"] == "9"


WRONG = {
    "no JSON": (["{]"], 4003),
    "a field nobody knows": (['{"nombre": 1}'], 4003),
    "both forms": (["{}", b""], 4003),
    "over the limit": (['{"text": "' + "x" * 100_001 + '"}'], 4003),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
async def test_a_frame_that_is_no_message_ends_the_call(client, case):
    sent, code = case
    async with client.open("/v1/chat") as socket:
        for frame in sent:
            await socket.send(frame)
        assert "error" in (await frames(socket))[-1]
    assert socket.close_code == code


SURPLUS = {
    "/v1/topics/go?count=1&end=hang": ["{}"],
    "/v1/topics:watch": ['{"end": "hang"}', "{}"],
    "/v1/chat": ['{"text": "hang"}', "", "{}"],
}


@pytest.mark.parametrize("path", SURPLUS)
async def test_a_frame_too_many_ends_the_call(client, backend, path):
    async with client.open(path) as socket:
        *expected, surplus = SURPLUS[path]
        for frame in expected:
            await socket.send(frame)
        await asyncio.wait_for(backend.started.wait(), 5)
        await socket.send(surplus)
        assert (await frames(socket))[-1]["error"]["code"] == 3
    assert socket.close_code == 4003
    await asyncio.wait_for(backend.cancelled.wait(), 5)


async def test_what_is_wrong_with_the_handshake_is_said_in_http(client):
    with pytest.raises(InvalidStatus) as refused:
        await client.open("/v1/topics/go?cuont=1")
    assert (refused.value.response.status_code, json.loads(refused.value.response.body)["code"]) == (400, 3)
    with pytest.raises(InvalidStatus) as refused:
        await client.open("/v1/nothing")
    assert refused.value.response.status_code == 404


ORIGINS = {
    None: True,
    "https://shop.example.com": True,
    "https://evil.example.com": False,
    "null": False,
}


@pytest.mark.parametrize("origin", ORIGINS)
async def test_pages_of_other_origins_open_none(client, origin):
    if ORIGINS[origin]:
        async with client.open("/v1/topics/go?count=1", origin=origin) as socket:
            assert len(await frames(socket)) == 1
        return
    with pytest.raises(InvalidStatus) as refused:
        await client.open("/v1/topics/go?count=1", origin=origin)
    assert refused.value.response.status_code == 403


async def test_its_own_pages_do(client):
    origin = f"http://127.0.0.1:{client.gateway.port}"
    async with client.open("/v1/topics/go?count=1", origin=origin) as socket:
        assert len(await frames(socket)) == 1


async def test_silence_is_broken(client, backend):
    async with client.open("/v1/topics/go?end=hang") as socket:
        assert await asyncio.wait_for(socket.recv(), 5) == '{"keepalive":{}}'


async def test_a_client_that_says_nothing_is_sent_away(client):
    async with client.open("/v1/raw") as socket:
        received = await frames(socket)
    assert received[-1]["error"]["code"] == 4
    assert socket.close_code == 4004


@pytest.mark.parametrize("path", ["/v1/topics/go?end=hang", "/v1/topics/go/latest?end=hang", "/v1/chat"])
@pytest.mark.parametrize("abrupt", [False, True], ids=["closed", "cut"])
async def test_a_client_that_goes_away_cancels_the_call(client, backend: Backend, path, abrupt):
    socket = await client.open(path)
    if path == "/v1/chat":
        await socket.send('{"text": "hang"}')
    await asyncio.wait_for(backend.started.wait(), 5)
    began = asyncio.get_running_loop().time()
    if abrupt:
        socket.transport.abort()
    else:
        closing = asyncio.create_task(socket.close())
    await asyncio.wait_for(backend.cancelled.wait(), 5)
    assert asyncio.get_running_loop().time() - began < 0.1
    if not abrupt:
        await closing


async def test_a_stop_is_told(client, backend):
    async with client.open("/v1/topics/go?count=1&end=hang") as socket:
        await asyncio.wait_for(backend.started.wait(), 5)
        client.gateway.signal()
        client.gateway.signal()
        received = await frames(socket)
    assert received[-1]["error"]["code"] == 14
    assert socket.close_code == 1001


async def test_it_is_logged_as_a_request_is(client):
    async with client.open(
        "/v1/topics/go?count=1&end=ABORTED", additional_headers={"x-request-id": "w1"}
    ) as socket:
        await frames(socket)
    line = await asyncio.to_thread(
        client.gateway.wait_for,
        lambda: next((line for line in client.gateway.log if line["id"] == "w1"), None),
    )
    assert (line["method"], line["status"], line["code"]) == ("WEBSOCKET", 101, "ABORTED")
    assert line["route"] == "/v1/topics/{topic}"
