"""Streams over real sockets: both directions at once, slow readers, clients that come back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.gateway.server.process import GatewayProcess
from tests.gateway.stream.duplex import Duplex
from tests.gateway.stream.test_http import events

pytestmark = pytest.mark.slow

LINES, EVENTS, ARRAY = "application/x-ndjson", "text/event-stream", "application/json"


@pytest.fixture
async def gateway(serve: Any) -> AsyncIterator[GatewayProcess]:
    process = serve("streaming: {keepalive: 0.2s, idle_timeout: 1s}")
    # Waiting for the process in a thread, for the backend is in this loop.
    await asyncio.to_thread(lambda: process.port)
    yield process
    process.signal()
    process.signal()
    assert await asyncio.to_thread(process.end) == 0


def memory(process: GatewayProcess) -> int:
    """Return the resident bytes of a process."""
    with open(f"/proc/{process.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def base(gateway: GatewayProcess) -> str:
    return f"http://127.0.0.1:{gateway.port}"


async def test_both_sides_speak_at_once_over_http_2(gateway):
    async with Duplex(gateway.port) as client:
        await client.begin("POST", "/v1/chat", content_type=LINES)
        for word in ("one", "two", "three"):
            await client.send(json.dumps({"text": word}).encode() + b"\n")
            await client.until(lambda word=word: word.upper().encode() in client.body)
        assert (client.headers[":status"], client.ended) == ("200", False)
        await client.send(b"", ends=True)
        await client.until(lambda: client.ended)
    assert len(client.body.splitlines()) == 3


async def test_and_over_http_1(gateway):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"POST /v1/chat HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    for word in (b"one", b"two"):
        line = b'{"text": "%s"}\n' % word
        writer.write(b"%x\r\n%s\r\n" % (len(line), line))
        assert await asyncio.wait_for(reader.readuntil(word.upper()), 5)
    writer.write(b"0\r\n\r\n")
    assert await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5)
    writer.close()


@pytest.mark.parametrize("accept", [LINES, EVENTS, ARRAY])
async def test_a_stream_that_is_reset_cancels_the_call_within_a_tenth_of_a_second(gateway, backend, accept):
    async with Duplex(gateway.port) as client:
        await client.begin("GET", "/v1/topics/go?count=1&end=hang", ends=True, accept=accept)
        await backend.started.wait()
        await client.until(lambda: client.body)
        began = asyncio.get_running_loop().time()
        await client.reset()
        await asyncio.wait_for(backend.cancelled.wait(), 5)
    assert asyncio.get_running_loop().time() - began < 0.1


@pytest.mark.parametrize("path", ["/v1/chat", "/v1/topics/go"])
async def test_so_does_an_upload_that_is_reset(gateway, backend, path):
    async with Duplex(gateway.port) as client:
        await client.begin("POST", path)
        await client.send(b'{"text": "hang"}')
        await backend.started.wait()
        began = asyncio.get_running_loop().time()
        await client.reset()
        await asyncio.wait_for(backend.cancelled.wait(), 5)
    assert asyncio.get_running_loop().time() - began < 0.1


@pytest.mark.parametrize("accept", [LINES, EVENTS, ARRAY])
async def test_a_connection_that_is_closed_does(gateway, backend, accept):
    async with httpx.AsyncClient(base_url=base(gateway)) as client:
        path = "/v1/topics/go?count=1&end=hang"
        async with client.stream("GET", path, headers={"accept": accept}) as response:
            await anext(response.aiter_raw())
            await backend.started.wait()
            began = asyncio.get_running_loop().time()
        await asyncio.wait_for(backend.cancelled.wait(), 5)
    assert asyncio.get_running_loop().time() - began < 0.1


async def test_an_array_that_fails_is_reset_or_cut_off(gateway):
    async with Duplex(gateway.port) as client:
        await client.begin("GET", "/v1/topics/go?count=1&end=ABORTED", ends=True, accept=ARRAY)
        await client.until(lambda: client.ended or client.broken)
        assert (client.broken, client.body[-1:]) == (True, b"}")
    async with httpx.AsyncClient(base_url=base(gateway)) as one:
        with pytest.raises(httpx.RemoteProtocolError):
            await one.get("/v1/topics/go?count=1&end=ABORTED", headers={"accept": ARRAY})


async def test_a_client_that_comes_back_misses_nothing_and_gets_nothing_twice(gateway):
    seen: list[str] = []
    async with httpx.AsyncClient(base_url=base(gateway)) as client:
        for kills in (3, 4, 100):
            headers = {"accept": EVENTS, **({"last-event-id": seen[-1]} if seen else {})}
            text = ""
            before = len(seen)
            async with client.stream("GET", "/v1/topics/go?count=20&size=10", headers=headers) as response:
                async for piece in response.aiter_text():
                    text += piece
                    seen[before:] = [event["id"] for event in events(text) if "id" in event][:kills]
                    if len(seen) - before == kills:
                        break
    assert seen == [str(number) for number in range(1, 21)]


@pytest.mark.parametrize("accept", [LINES, EVENTS, ARRAY])
async def test_a_client_that_does_not_read_takes_no_memory(gateway, backend, accept):
    async with Duplex(gateway.port) as client:
        await client.begin("GET", "/v1/topics/warm", ends=True, accept=accept)
        await client.until(lambda: client.ended)
    before = memory(gateway)
    async with Duplex(gateway.port) as client:
        client.reads = False
        await client.begin("GET", "/v1/topics/go?count=10000&size=50000", ends=True, accept=accept)
        last = -1
        while backend.sent != last:
            last = backend.sent
            await asyncio.sleep(0.3)
        # Of 500 MB.
        assert backend.sent * 50_000 < 24_000_000
        assert memory(gateway) - before < 32_000_000


async def test_a_backend_that_does_not_read_takes_no_memory(gateway, backend):
    sent = 0
    line = json.dumps({"text": "x" * 50_000}).encode()

    async with Duplex(gateway.port) as client:
        await client.begin("POST", "/v1/topics/go")
        await client.send(b'{"text": "hang"}')
        await backend.started.wait()
        before = memory(gateway)
        try:
            async with asyncio.timeout(1.5):
                while True:
                    await client.send(line)
                    sent += len(line)
        except TimeoutError:
            pass
        assert sent < 24_000_000
        assert memory(gateway) - before < 32_000_000


async def test_streams_are_counted_and_logged(gateway):
    async with httpx.AsyncClient(base_url=base(gateway)) as client:
        path = "/v1/topics/go?count=2&end=ABORTED"
        answer = await client.get(path, headers={"x-request-id": "s1", "accept-encoding": "identity"})
    line = await asyncio.to_thread(
        gateway.wait_for, lambda: next((line for line in gateway.log if line["id"] == "s1"), None)
    )
    assert (line["status"], line["code"], line["bytes"]) == (200, "ABORTED", len(answer.content))
