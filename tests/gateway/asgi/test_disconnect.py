"""Nobody works for a client that has gone, and a gateway that stops answers whom it can."""

from __future__ import annotations

import asyncio

import pytest

from tests.gateway.asgi.client import Request


@pytest.mark.parametrize("target", ["/v1/books/held", "/v1/desks/held"], ids=["one rpc", "composed"])
async def test_a_client_that_goes_away_cancels_the_backend_call(app, backend, target):
    request = Request("GET", target)
    running = asyncio.create_task(request.run(app))
    await backend.started.wait()
    request.disconnect()
    await asyncio.wait_for(backend.cancelled.wait(), 5)
    response = await running
    assert response.status == 0
    assert app.in_flight == 0


async def test_a_body_that_breaks_off_is_refused_for_its_framing_may_be_wrong(app):
    request = Request("POST", "/v1/books", headers=[("content-length", "20")])
    request.messages.put_nowait({"type": "http.request", "body": b"{", "more_body": True})
    request.disconnect()
    response = await request.run(app)
    assert (response.status, response.json["code"], response.headers["connection"]) == (400, 3, "close")


async def test_a_request_that_is_cancelled_by_its_host_stays_cancelled(app, backend):
    request = Request("GET", "/v1/books/held")
    running = asyncio.create_task(request.run(app))
    await backend.started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.wait_for(backend.cancelled.wait(), 5)


async def test_a_client_may_go_away_while_it_is_sent_an_error(app):
    request = Request("GET", "/v1/books/missing")
    request.writable.clear()
    running = asyncio.create_task(request.run(app))
    request.disconnect()
    assert (await asyncio.wait_for(running, 5)).status == 0


async def test_a_quick_request_never_asks_for_more(app):
    request = Request("GET", "/v1/books/one")
    await request.run(app)
    assert not request.messages._getters


async def test_requests_cut_off_by_a_stop_are_told_so(app, backend):
    request = Request("GET", "/v1/books/held")
    running = asyncio.create_task(request.run(app))
    await backend.started.wait()
    app.cut_off()
    response = await running
    assert (response.status, response.headers["connection"]) == (503, "close")
    assert response.json["message"] == "the gateway is stopping"
