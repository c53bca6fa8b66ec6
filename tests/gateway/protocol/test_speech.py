"""Every protocol in every form does the same for each arity: succeeds, fails before and after messages, ends in time."""

from __future__ import annotations

import asyncio
import base64
import gzip

import pytest

from tests.gateway.asgi.client import call
from tests.gateway.protocol.backend import SERVICE
from tests.gateway.protocol.speech import SPEECHES, envelope

RETRY = "type.googleapis.com/google.rpc.RetryInfo"
pytestmark = pytest.mark.parametrize("speech", SPEECHES, ids=repr)

# Method, requests, and the texts of the messages that answer them.
SUCCESSES = [
    ("Say", [{"text": "hi"}], ["hi"]),
    ("Count", [{"text": "n", "messages": 3}], ["n0", "n1", "n2"]),
    ("Count", [{"text": "n"}], []),
    ("Gather", [{"text": "a"}, {"text": "b"}], ["a b"]),
    ("Gather", [], [""]),
    ("Chat", [{"text": "a"}, {"text": "b"}], ["a", "b"]),
    ("Chat", [], []),
]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(("method", "requests", "texts"), SUCCESSES)
async def test_messages_pass_both_ways(app, backend, speech, method, requests, texts, packed):
    told = await speech.call(app, backend, method, *requests, packed=packed)

    assert "OK" == told.code
    assert texts == [message.text for message in told.messages]


@pytest.mark.parametrize("method", ["Say", "Count", "Gather", "Chat"])
async def test_metadata_passes_by_the_gateways_rules(app, backend, speech, method):
    """`forward_headers` decides what goes in, `return_headers` what comes back; grpc-* and the like never go in."""
    headers = [
        ("x-demo", "one"),
        ("x-demo-bin", "AAE"),
        ("cookie", "not listed"),
        ("grpc-internal-encoding-request", "gzip"),
        ("mesh-attempt", "1"),
    ]

    told = await speech.call(app, backend, method, {"text": "t", "messages": 1}, headers=headers)

    sent = told.messages[0].metadata
    assert ("one", "0001") == (sent["x-demo"], sent["x-demo-bin"])
    assert not {"cookie", "grpc-internal-encoding-request", "mesh-attempt"} & set(sent)
    assert {"x-lead": "first", "x-lead-bin": "AAE"} == told.leading
    assert {"x-trail": "last", "x-trail-bin": "/w"} == told.trailing


FAILURES = [
    # Before the first message.
    ("Say", [{"text": "no", "code": 5}], []),
    ("Count", [{"text": "no", "code": 5}], []),
    ("Gather", [{"text": "no", "code": 5}], []),
    ("Chat", [{"text": "no", "code": 5}], []),
    # In the middle.
    ("Count", [{"text": "no", "code": 5, "messages": 2}], ["no0", "no1"]),
    ("Gather", [{"text": "a"}, {"text": "no", "code": 5}], []),
    ("Chat", [{"text": "a"}, {"text": "no", "code": 5}], ["a"]),
]


@pytest.mark.parametrize(("method", "requests", "texts"), FAILURES)
async def test_a_failure_has_code_message_details_and_trailers(app, backend, speech, method, requests, texts):
    told = await speech.call(app, backend, method, *requests)

    assert texts == [message.text for message in told.messages]
    assert ("NOT_FOUND", "no") == (told.code, told.message)
    assert [RETRY] == [type_url for type_url, _ in told.details]
    assert {"x-trail": "last", "x-trail-bin": "/w"} == told.trailing


async def test_text_outside_ascii_passes(app, backend, speech):
    told = await speech.call(app, backend, "Say", {"text": "50 % ü\n", "code": 3})

    assert ("INVALID_ARGUMENT", "50 % ü\n") == (told.code, told.message)


@pytest.mark.parametrize("method", ["Say", "Count", "Gather", "Chat"])
async def test_the_clients_deadline_reaches_the_backend(app, backend, speech, method):
    told = await speech.call(app, backend, method, {"text": "t", "messages": 1}, timeout=5)

    # gRPC rounds timeouts up when it writes them.
    assert 0 < told.messages[0].remaining <= 5.5


@pytest.mark.parametrize(("method", "first"), [("Say", 0), ("Count", 1), ("Gather", 0), ("Chat", 0)])
async def test_a_deadline_that_passes_is_said(app, backend, speech, method, first):
    told = await speech.call(
        app, backend, method, {"text": "t", "messages": first, "hang": True}, timeout=0.3
    )

    assert "DEADLINE_EXCEEDED" == told.code
    assert first == len(told.messages)


async def test_streams_have_no_deadline_of_their_own(app, backend, speech):
    told = await speech.call(app, backend, "Count", {"text": "t", "messages": 1})

    assert told.messages[0].remaining == -1


@pytest.mark.parametrize("method", ["Say", "Count", "Gather", "Chat"])
async def test_a_client_that_goes_away_cancels_the_call(app, backend, speech, method):
    request = speech.request(backend, method, {"hang": True})
    answering = asyncio.ensure_future(request.run(app))
    async with asyncio.timeout(5):
        await backend.started.wait()

        request.disconnect()

        await backend.cancelled.wait()
    await asyncio.wait([answering], timeout=5)
    assert answering.done()


async def test_a_client_that_goes_away_while_it_sends_cancels_the_call(app, backend, speech):
    request = speech.request(backend, "Chat", {"hang": True})
    first = request.messages.get_nowait()
    request.messages.put_nowait({**first, "more_body": True})
    answering = asyncio.ensure_future(request.run(app))
    async with asyncio.timeout(5):
        await backend.started.wait()

        request.disconnect()

        await backend.cancelled.wait()
        await answering


async def test_a_conversation_is_answered_while_it_goes_on(app, backend, speech):
    """Full duplex: each answer is sent before the next request is there."""
    request = speech.request(backend, "Chat", {"text": "one"})
    whole = request.messages.get_nowait()["body"]
    second = speech.request(backend, "Chat", {"text": "two"}).messages.get_nowait()["body"]
    request.messages.put_nowait({"type": "http.request", "body": whole, "more_body": True})
    answering = asyncio.ensure_future(request.run(app))
    async with asyncio.timeout(5):
        while not request.response.pieces:
            await asyncio.sleep(0)

        request.messages.put_nowait({"type": "http.request", "body": second[:4], "more_body": True})
        request.messages.put_nowait({"type": "http.request", "body": second[4:], "more_body": False})

        told = speech.read(backend, "Chat", await answering)
    assert ["one", "two"] == [message.text for message in told.messages]


@pytest.mark.parametrize("method", ["Say", "Count", "Gather", "Chat"])
async def test_headers_that_are_refused_are_refused_in_the_protocols_words(app, backend, speech, method):
    told = await speech.call(app, backend, method, {"text": "t"}, headers=[("x-demo-bin", "!")])

    assert ("INVALID_ARGUMENT", []) == (told.code, told.messages)
    assert "header x-demo-bin: is not base64" in told.message
    assert ["type.googleapis.com/google.rpc.BadRequest"] == [type_url for type_url, _ in told.details]


@pytest.mark.parametrize("method", ["Say", "Count", "Gather", "Chat"])
async def test_a_message_over_the_limit_is_refused(make, backend, speech, method):
    app = await make(max_body_bytes=200)

    told = await speech.call(app, backend, method, {"text": "x" * 300})

    assert told.code in {"RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"}
    assert "larger than the limit of" in told.message


@pytest.mark.parametrize("method", ["Say", "Count", "Gather", "Chat"])
async def test_a_message_that_unpacks_to_more_than_the_limit_is_refused(make, backend, speech, method):
    app = await make(max_body_bytes=2000)

    told = await speech.call(app, backend, method, {"text": "x" * 100_000}, packed=True)

    assert told.code in {"RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"}
    assert "larger than the limit of 2000 bytes" in told.message


async def test_large_messages_are_compressed_for_those_who_say_so(app, backend, speech):
    told = await speech.call(app, backend, "Say", {"text": "x" * 5000}, packed=True)

    assert "x" * 5000 == told.messages[0].text
    assert len(told.response.body) < 1000


async def test_what_is_not_exposed_is_not_there(app, backend, speech):
    response = await call(
        app, "POST", f"/{SERVICE}/Hidden", b"", headers=[("content-type", speech.content_type("Say"))]
    )

    assert 404 == response.status


async def test_a_message_of_damaged_gzip_is_refused(app, backend, speech):
    request = speech.request(backend, "Chat", {}, packed=True)
    request.messages.get_nowait()
    damaged = envelope(gzip.compress(b"x" * 100)[:-9], 1)
    if speech.name == "grpc-web-text":
        damaged = base64.b64encode(damaged)
    request.messages.put_nowait({"type": "http.request", "body": damaged, "more_body": False})

    told = speech.read(backend, "Chat", await request.run(app))

    assert "INVALID_ARGUMENT" == told.code
    assert "gzip data" in told.message
