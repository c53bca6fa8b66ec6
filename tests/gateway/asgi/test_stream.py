"""A response stream is lines of JSON, and a failure is visible whenever it comes."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway.render.stream import BrokenStreamError
from tests.gateway.asgi.client import Request, call


def lines(response):
    return [json.loads(line) for line in response.body.decode().splitlines()]


async def test_every_message_is_a_line(app):
    response = await call(app, "GET", "/v1/books?count=3")
    assert (response.status, response.headers["content-type"]) == (200, "application/x-ndjson")
    assert lines(response) == [{"result": {"id": str(number)}} for number in range(3)]
    assert response.complete


async def test_an_empty_stream_is_an_empty_answer(app):
    response = await call(app, "GET", "/v1/books?count=0")
    assert (response.status, response.body, response.complete) == (200, b"", True)


async def test_a_failure_before_the_first_message_is_an_ordinary_error(app):
    response = await call(app, "GET", "/v1/books?count=0&fail_with=NOT_FOUND")
    assert (response.status, response.json) == (404, {"code": 5, "message": "it broke", "details": []})
    assert response.headers["content-type"] == "application/json"


async def test_a_failure_after_it_is_a_last_line(app):
    response = await call(app, "GET", "/v1/books?count=2&fail_with=DATA_LOSS")
    assert response.status == 200
    assert lines(response)[2:] == [{"error": {"code": 15, "message": "it broke", "details": []}}]
    assert response.complete


async def test_the_clients_deadline_ends_it(app):
    response = await call(app, "GET", "/v1/books?count=1&fail_with=hang", headers=[("grpc-timeout", "1S")])
    assert lines(response)[1]["error"]["code"] == 4


async def test_it_has_no_deadline_unless_the_client_names_one(make, backend):
    app = await make(request_timeout=0.05)
    request = Request("GET", "/v1/books?count=1&fail_with=hang")
    running = asyncio.create_task(request.run(app))
    await backend.started.wait()
    done, _ = await asyncio.wait({running}, timeout=0.2)
    assert not done
    request.disconnect()
    await running


async def test_a_client_that_goes_away_cancels_the_backend(app, backend):
    request = Request("GET", "/v1/books?count=1&fail_with=hang")
    running = asyncio.create_task(request.run(app))
    await backend.started.wait()
    request.disconnect()
    await asyncio.wait_for(backend.cancelled.wait(), 5)
    await running


async def test_a_client_that_does_not_read_holds_the_stream_up(app):
    request = Request("GET", "/v1/books?count=1000")
    request.writable.clear()
    running = asyncio.create_task(request.run(app))
    done, _ = await asyncio.wait({running}, timeout=0.2)
    assert not done
    assert request.response.pieces == []
    request.writable.set()
    assert len((await running).pieces) == 1001


async def test_raw_bodies_follow_each_other(app):
    response = await call(app, "GET", "/v1/books/one:read")
    assert (response.headers["content-type"], response.body) == ("text/plain", b"once upon a time")


async def test_raw_bytes_that_break_off_must_not_look_complete(app):
    request = Request("GET", "/v1/books/torn:read")
    with pytest.raises(BrokenStreamError):
        await request.run(app)
    assert (request.response.body, request.response.complete) == (b"once upon ", False)
