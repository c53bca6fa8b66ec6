"""Composed methods are reached by every protocol, as methods of a backend are."""

from __future__ import annotations

import json

import pytest

from tests.gateway.asgi.client import call
from tests.gateway.protocol.speech import ConnectSpeech, WebSpeech, envelope, envelopes

PAIR = "/echo.v1.PairService/Pair"


async def post(app, content_type, body):
    return await call(app, "POST", PAIR, body, headers=[("content-type", content_type)])


async def test_connect_answers_with_a_composition(app):
    response = await post(app, "application/json", {"left": "a", "right": "b"})

    assert (200, {"left": "a", "right": "b"}) == (response.status, response.json)


async def test_grpc_web_answers_with_a_composition(app):
    response = await post(app, "application/grpc-web+json", envelope(b'{"left": "a", "right": "b"}'))

    (_, message), (_, trailers) = envelopes(response.body)
    assert {"left": "a", "right": "b"} == json.loads(message)
    assert trailers.startswith(b"grpc-status: 0")


async def test_the_failure_of_a_step_is_the_answers(app):
    response = await post(app, "application/json", {"left": "a", "right": "no", "code": 9})

    assert (400, "failed_precondition") == (response.status, response.json["code"])
    assert response.json["message"].endswith("no")
    assert "google.rpc.RetryInfo" == response.json["details"][0]["type"]


@pytest.mark.parametrize("speech", [ConnectSpeech("proto"), WebSpeech("proto")], ids=repr)
async def test_a_message_that_is_none_is_refused(app, backend, speech):
    """A composition reads its request, where a single call passes the bytes on."""
    body = b"\xff" if speech.name == "connect" else envelope(b"\xff")
    content_type = "application/proto" if speech.name == "connect" else "application/grpc-web+proto"

    told = speech.read(backend, "Say", await post(app, content_type, body))

    assert "INVALID_ARGUMENT" == told.code
    assert "not a valid echo.v1.PairRequest on the wire" in told.message
