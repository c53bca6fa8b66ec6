"""Streams over plain HTTP: every kind in every framing, and how each of them ends."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest

from gateway.render.stream import BrokenStreamError
from tests.gateway.asgi.client import Request, call

LINES, EVENTS, ARRAY = "application/x-ndjson", "text/event-stream", "application/json"
ACCEPTS = pytest.mark.parametrize("accept", [LINES, EVENTS, ARRAY])


def accepting(accept: str) -> list[tuple[str, str]]:
    return [("accept", accept)]


def numbers(accept: str, body: bytes) -> list[int]:
    """Return the numbers of the messages in a body, whatever its framing."""
    text = body.decode()
    if accept == LINES:
        items = [json.loads(line).get("result") for line in text.splitlines()]
    elif accept == EVENTS:
        items = [json.loads(event["data"]) for event in events(text) if "event" not in event]
    else:
        items = json.loads(text if text.endswith("]") else text + "]")
    return [int(item["number"]) for item in items if item]


def events(text: str) -> list[dict[str, str]]:
    """Return the fields of each event, as an EventSource reads them."""
    read = []
    for block in text.split("\n\n")[:-1]:
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            read.append(dict(line.split(": ", 1) for line in lines))
    return read


# The response streams


@ACCEPTS
async def test_every_message_in_its_framing(app, accept):
    response = await call(app, "GET", "/v1/topics/go?count=3", headers=accepting(accept))
    assert (response.status, response.headers["content-type"]) == (200, accept)
    assert numbers(accept, response.body) == [1, 2, 3]
    assert response.complete


ENDS = {LINES: b"", EVENTS: b"event: end\ndata: {}\n\n", ARRAY: b"[]"}


@ACCEPTS
async def test_an_empty_stream_ends_as_any_other(app, accept):
    response = await call(app, "GET", "/v1/topics/go", headers=accepting(accept))
    assert (response.status, response.body, response.complete) == (200, ENDS[accept], True)


@ACCEPTS
async def test_a_failure_before_the_first_message_is_an_ordinary_error(app, accept):
    response = await call(app, "GET", "/v1/topics/go?end=NOT_FOUND", headers=accepting(accept))
    assert (response.status, response.json["code"]) == (404, 5)


async def test_a_failure_after_it_is_the_last_line(app):
    response = await call(app, "GET", "/v1/topics/go?count=2&end=ABORTED")
    assert json.loads(response.body.splitlines()[-1])["error"]["code"] == 10
    assert response.complete


async def test_a_failure_after_it_is_an_event(app):
    response = await call(app, "GET", "/v1/topics/go?count=2&end=ABORTED", headers=accepting(EVENTS))
    last = events(response.body.decode())[-1]
    assert (last["event"], json.loads(last["data"])["code"]) == ("error", 10)
    assert "event: end" not in response.body.decode()


async def test_an_array_that_fails_is_no_json_and_no_whole_answer(app):
    request = Request("GET", "/v1/topics/go?count=2&end=ABORTED", headers=accepting(ARRAY))
    with pytest.raises(BrokenStreamError):
        await request.run(app)
    assert numbers(ARRAY, request.response.body) == [1, 2]
    assert not request.response.body.endswith(b"]")
    assert not request.response.complete


async def test_raw_bytes_follow_each_other(app):
    response = await call(app, "GET", "/v1/topics/go/raw?count=3", headers=accepting(EVENTS))
    assert (response.headers["content-type"], response.body) == ("text/csv", b"0\n1\n2\n")


async def test_raw_bytes_that_break_off_are_no_whole_answer(app):
    request = Request("GET", "/v1/topics/go/raw?count=1&end=ABORTED")
    with pytest.raises(BrokenStreamError):
        await request.run(app)
    assert not request.response.complete


async def test_head_has_no_messages(app, backend):
    response = await call(app, "HEAD", "/v1/topics/go?count=1&end=hang", headers=accepting(LINES))
    assert (response.status, response.body, response.complete) == (200, b"", True)
    await asyncio.wait_for(backend.cancelled.wait(), 5)


# Server-sent events


async def test_events_have_ids(app):
    response = await call(app, "GET", "/v1/topics/go?count=2", headers=accepting(EVENTS))
    assert [event.get("id") for event in events(response.body.decode())] == ["1", "2", None]


async def test_a_client_that_comes_back_gets_what_it_has_not_seen(app):
    headers = [*accepting(EVENTS), ("last-event-id", "3")]
    response = await call(app, "GET", "/v1/topics/go?count=5", headers=headers)
    assert numbers(EVENTS, response.body) == [4, 5]


async def test_an_event_source_comes_back_with_the_query_it_began_with(app):
    headers = [*accepting(EVENTS), ("last-event-id", "3")]
    response = await call(app, "GET", "/v1/topics/go?count=5&after=1", headers=headers)
    assert numbers(EVENTS, response.body) == [4, 5]


async def test_an_id_that_is_none_is_refused(app):
    headers = [*accepting(EVENTS), ("last-event-id", "third")]
    response = await call(app, "GET", "/v1/topics/go?count=5", headers=headers)
    assert response.status == 400
    assert response.json["details"][0]["fieldViolations"][0]["field"] == "after"


async def test_silence_is_broken_by_comments(app):
    response = await call(app, "GET", "/v1/topics/go?count=1&pause=0.35", headers=accepting(EVENTS))
    assert response.pieces[:2] == [b":\n\n", b":\n\n"]
    assert numbers(EVENTS, response.body) == [1]


async def test_a_failure_after_a_comment_is_an_event(app):
    response = await call(app, "GET", "/v1/topics/go?pause=0.15&end=ABORTED", headers=accepting(EVENTS))
    assert (response.status, events(response.body.decode())[-1]["event"]) == (200, "error")


# The request streams


def items(*fields: dict[str, object]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in fields)


BODIES = {
    "lines": (LINES, items({"number": "1"}, {"number": "2"})),
    "one after the other": (ARRAY, b'{"number": "1"}{"number": 2}'),
    "an array": (ARRAY, b'[{"number": "1"}, {"number": 2}]'),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_stream_of_requests_is_read_in_every_form(app, backend, body):
    content_type, data = body
    response = await call(app, "POST", "/v1/topics/go", data, headers=[("content-type", content_type)])
    assert (response.status, response.json["count"]) == (200, "2")
    assert [item.number for item in backend.received] == [1, 2]


async def test_the_path_belongs_to_the_first_message(app, backend):
    await call(app, "POST", "/v1/topics/go", items({"number": 1}, {"number": 2}))
    assert [item.topic for item in backend.received] == ["go", ""]


async def test_a_path_alone_is_a_message(app, backend):
    response = await call(app, "POST", "/v1/topics/go", b"")
    assert (response.status, [item.topic for item in backend.received]) == (200, ["go"])


async def test_no_body_is_a_stream_of_nothing(app, backend):
    response = await call(app, "POST", "/v1/chat", b"")
    assert (response.status, response.body, backend.received) == (200, b"", [])


REFUSED = {
    "another value than the path's": (items({"topic": "rust"}), 400),
    "a field nobody knows": (items({"number": 1}, {"nombre": 1}), 400),
    "half a message": (b'{"number": 1}{"num', 400),
    "an array without an end": (b'[{"number": 1}', 400),
    "a message over the limit": (items({"text": "x" * 2000}), 413),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
async def test_what_is_no_request_cancels_the_call(make, backend, case):
    body, status = case
    app = await make(max_body_bytes=1000)
    response = await call(app, "POST", "/v1/topics/go", body)
    assert response.status == status
    assert len(backend.received) <= 1


async def test_a_stream_may_be_longer_than_a_message_may(make, backend):
    app = await make(max_body_bytes=1000)
    response = await call(app, "POST", "/v1/topics/go", items(*[{"text": "x" * 500}] * 20))
    assert response.json["count"] == "20"


@pytest.mark.parametrize("step", [1, 7, 10_000])
async def test_a_compressed_stream_is_unpacked_as_it_comes(app, backend, step):
    packed = gzip.compress(items(*[{"number": number} for number in range(50)]))
    request = Request(
        "POST", "/v1/topics/go", headers=[("transfer-encoding", "chunked"), ("content-encoding", "gzip")]
    )
    for start in range(0, len(packed), step):
        request.messages.put_nowait(piece(packed[start : start + step]))
    request.messages.put_nowait(piece(b"", more=False))
    assert (await request.run(app)).json["count"] == "50"
    assert [item.number for item in backend.received] == list(range(50))


@pytest.mark.parametrize(
    ("packed", "status"),
    [
        (gzip.compress(b'{"number": 1}')[:-1], 400),
        (gzip.compress(b'{"number": 1}') + b"x", 400),
        (gzip.compress(bytes(50_000_000)), 413),
    ],
    ids=["cut short", "going on", "a bomb"],
)
async def test_a_compressed_stream_that_is_none_is_refused(app, packed, status):
    response = await call(app, "POST", "/v1/topics/go", packed, headers=[("content-encoding", "gzip")])
    assert response.status == status


async def test_raw_bytes_become_messages(app):
    response = await call(app, "PUT", "/v1/raw", b"some bytes", headers=[("content-type", "image/png")])
    assert response.json == {"count": "1", "bytes": "10", "topic": "image/png"}


async def test_a_failure_of_the_call_is_an_ordinary_error(app):
    response = await call(app, "POST", "/v1/topics/go", items({"text": "fail"}))
    assert (response.status, response.json["message"]) == (500, "it broke")


async def test_a_backend_need_not_read_everything(app):
    request = Request("POST", "/v1/topics/go", headers=[("transfer-encoding", "chunked")])
    request.messages.put_nowait(piece(items({"text": "quit"})))
    response = await request.run(app)
    # The rest of the body may still come: it must not be taken for a request.
    assert (response.status, response.headers["connection"]) == (200, "close")


def piece(body: bytes, *, more: bool = True) -> dict[str, object]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_client_that_falls_silent_is_refused(app, backend):
    request = Request("POST", "/v1/topics/go", headers=[("transfer-encoding", "chunked")])
    request.messages.put_nowait(piece(items({"number": 1})))
    response = await request.run(app)
    assert (response.status, response.json["code"]) == (408, 4)
    await asyncio.wait_for(backend.cancelled.wait(), 5)


# Both


async def test_both_sides_speak_at_once(app, backend):
    request = Request("POST", "/v1/chat", headers=[("transfer-encoding", "chunked")])
    running = asyncio.create_task(request.run(app))
    for word in ("one", "two"):
        request.messages.put_nowait(piece(items({"text": word})))
        count = len(request.response.pieces)
        while len(request.response.pieces) == count:
            await asyncio.sleep(0.005)
        assert word.upper().encode() in request.response.body
    request.messages.put_nowait(piece(b"", more=False))
    response = await running
    assert [json.loads(line)["result"]["text"] for line in response.body.splitlines()] == ["ONE", "TWO"]


@ACCEPTS
async def test_a_bad_message_in_the_middle_is_a_failure_in_the_middle(app, backend, accept):
    request = Request("POST", "/v1/chat", headers=[("transfer-encoding", "chunked"), ("accept", accept)])
    running = asyncio.create_task(request.run(app))
    request.messages.put_nowait(piece(items({"number": 1})))
    while not request.response.pieces:
        await asyncio.sleep(0.005)
    request.messages.put_nowait(piece(b"{]"))
    if accept == ARRAY:
        with pytest.raises(BrokenStreamError):
            await running
        return
    response = await running
    assert b"message 2: " in response.body.splitlines()[-1 if accept == LINES else -2]
    await asyncio.wait_for(backend.cancelled.wait(), 5)


# Clients that go away

GONE = {
    "server": ("GET", "/v1/topics/go?count=1&end=hang", None),
    "server, silent": ("GET", "/v1/topics/go?end=hang", None),
    "client": ("POST", "/v1/topics/go", {"text": "hang"}),
    "both": ("POST", "/v1/chat", {"text": "hang"}),
}


@ACCEPTS
@pytest.mark.parametrize("ended", [False, True], ids=["within its body", "after it"])
@pytest.mark.parametrize("kind", GONE)
async def test_a_client_that_goes_away_cancels_the_call_within_a_tenth_of_a_second(
    app, backend, kind, accept, ended
):
    method, path, item = GONE[kind]
    headers = [("accept", accept), *([("transfer-encoding", "chunked")] if item else [])]
    request = Request(method, path, headers=headers)
    if item:
        request.messages.put_nowait(piece(items(item), more=not ended))
    running = asyncio.create_task(request.run(app))
    await asyncio.wait_for(backend.started.wait(), 5)
    request.disconnect()
    began = asyncio.get_running_loop().time()
    await asyncio.wait_for(backend.cancelled.wait(), 5)
    assert asyncio.get_running_loop().time() - began < 0.1
    await running
    assert app.in_flight == 0


async def test_a_client_that_does_not_read_holds_its_backend_up(app, backend):
    request = Request("GET", "/v1/topics/go?count=2000&size=20000", headers=accepting(LINES))
    request.writable.clear()
    running = asyncio.create_task(request.run(app))
    await settled(lambda: backend.sent)
    # 40 MB are there to be sent; what gRPC's windows hold is on its way.
    assert backend.sent < 500
    request.disconnect()
    await running


async def test_a_backend_that_does_not_read_holds_its_client_up(app, backend):
    request = Request("POST", "/v1/topics/go", headers=[("transfer-encoding", "chunked")])
    request.messages.put_nowait(piece(items({"text": "hang"})))
    for _ in range(2000):
        request.messages.put_nowait(piece(items({"text": "x" * 20000})))
    running = asyncio.create_task(request.run(app))
    await settled(request.messages.qsize)
    assert request.messages.qsize() > 1500
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def settled(measure) -> None:
    """Wait until a measure has not changed for a while."""
    last = None
    while measure() != last or not last:
        last = measure()
        await asyncio.sleep(0.2)


async def test_a_stop_is_told_to_streams(app, backend):
    request = Request("GET", "/v1/topics/go?count=1&end=hang")
    running = asyncio.create_task(request.run(app))
    await backend.started.wait()
    while not request.response.pieces:
        await asyncio.sleep(0.005)
    app.cut_off()
    response = await running
    assert json.loads(response.body.splitlines()[-1])["error"]["code"] == 14
    assert response.complete
