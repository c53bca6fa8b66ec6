"""Streams that end because the gateway or time ends them, and not because the call did."""

from __future__ import annotations

import asyncio

import pytest

from mesh.config.edge import Streaming
from tests.gateway.protocol.speech import ConnectSpeech, WebSpeech

pytestmark = pytest.mark.parametrize("speech", [ConnectSpeech("proto"), WebSpeech("proto")], ids=repr)


async def _until_hanging(backend, request, app):
    answering = asyncio.ensure_future(request.run(app))
    await backend.started.wait()
    return answering


async def test_a_stream_that_is_cut_off_says_so(app, backend, speech):
    request = speech.request(backend, "Count", {"text": "n", "messages": 1, "hang": True})
    async with asyncio.timeout(5):
        answering = await _until_hanging(backend, request, app)
        while not request.response.pieces:
            await asyncio.sleep(0)

        app.cut_off()
        told = speech.read(backend, "Count", await answering)

        assert (["n0"], "UNAVAILABLE") == ([message.text for message in told.messages], told.code)
        assert "the gateway is stopping" == told.message
        await backend.cancelled.wait()


async def test_a_call_that_is_cut_off_before_its_answer_says_so(app, backend, speech):
    request = speech.request(backend, "Say", {"hang": True})
    async with asyncio.timeout(5):
        answering = await _until_hanging(backend, request, app)

        app.cut_off()
        told = speech.read(backend, "Say", await answering)

    assert ("UNAVAILABLE", "the gateway is stopping") == (told.code, told.message)


async def test_a_client_that_is_silent_for_too_long_is_told(make, backend, speech):
    app = await make(streaming=Streaming(idle_timeout=0.1))
    request = speech.request(backend, "Chat", {"text": "one"})
    body = request.messages.get_nowait()["body"]
    request.messages.put_nowait({"type": "http.request", "body": body, "more_body": True})

    async with asyncio.timeout(5):
        told = speech.read(backend, "Chat", await request.run(app))

    assert (["one"], "DEADLINE_EXCEEDED") == ([message.text for message in told.messages], told.code)
    assert "the client sent nothing for 0.1 s" == told.message


async def test_a_unary_body_that_comes_too_slowly_is_told(make, backend, speech):
    app = await make(body_timeout=0.1)
    request = speech.request(backend, "Say", {"text": "one"})
    body = request.messages.get_nowait()["body"]
    request.messages.put_nowait({"type": "http.request", "body": body[:1], "more_body": True})

    async with asyncio.timeout(5):
        told = speech.read(backend, "Say", await request.run(app))

    assert "DEADLINE_EXCEEDED" == told.code


async def test_a_slow_reader_holds_the_stream_back(app, backend, speech):
    """Messages that are not read are not taken from the backend: memory is bounded by what the wires hold."""
    request = speech.request(backend, "Count", {"text": "x" * 10_000, "messages": 500, "hang": True})
    request.writable.clear()
    answering = asyncio.ensure_future(request.run(app))
    async with asyncio.timeout(5):
        for _ in range(1000):
            await asyncio.sleep(0)

        assert [] == request.response.pieces
        # It hangs after its last message, and has not got there: flow control holds the backend.
        assert not backend.started.is_set()
        request.disconnect()
        request.writable.set()
        await asyncio.wait([answering])


async def test_a_fault_of_ours_is_told_by_its_id(app, backend, speech, monkeypatch):
    monkeypatch.setattr(app.live.backends, "find", lambda _: 1 / 0)

    told = await speech.call(app, backend, "Say", {"text": "hi"}, headers=[("x-request-id", "abc")])

    assert ("INTERNAL", "internal error; the gateway's log has it under request id abc") == (
        told.code,
        told.message,
    )
