"""Stored answers: who shares them, who must not, and what becomes of those who wait."""

from __future__ import annotations

import asyncio

import pytest

from gateway.edge.metrics import CACHE_REQUESTS
from mesh.config.edge import Cache, Rest
from mesh.errors import ConfigError
from mesh.telemetry.telemetry import Telemetry
from tests.gateway.asgi.client import Request, call

GET_BOOK = "library.v1.LibraryService/GetBook"
BOOK = "/v1/books/one"
LASTING = Cache(max_age=600, store=True)
STALE = Cache(max_age=0, store=True, stale_while_revalidate=600)


@pytest.fixture
async def stored(make):
    return await make(methods={GET_BOOK: Rest(cache=LASTING)})


async def get(app, target=BOOK, method="GET", **headers):
    return await call(
        app, method, target, headers=[(name.replace("_", "-"), value) for name, value in headers.items()]
    )


async def test_the_second_request_needs_no_backend(stored, backend):
    first = await get(stored)
    second = await get(stored)
    assert first.body == second.body
    assert len(backend.calls) == 1
    assert "age" not in first.headers
    assert second.headers["age"] == "0"
    assert second.headers["cache-control"] == "public, max-age=600"
    assert second.headers["etag"] == first.headers["etag"]
    assert second.headers["x-request-id"] != first.headers["x-request-id"]


async def test_a_stored_answer_is_like_any_other(stored, backend):
    target = "/v1/books/" + "long" * 500
    plain = await get(stored, target)
    head = await get(stored, target, "HEAD")
    packed = [await get(stored, target, accept_encoding="gzip") for _ in range(2)]
    assert (head.headers["content-length"], head.body) == (str(len(plain.body)), b"")
    assert packed[0].headers["content-encoding"] == "gzip"
    assert packed[0].body == packed[1].body
    assert (await get(stored, target, if_none_match=plain.headers["etag"])).status == 304
    assert len(backend.calls) == 1
    (entry,) = stored.live.store.cache._entries.values()
    assert list(entry.variants.values()) == [packed[0].body]
    assert stored.live.store.cache.size == entry.size


@pytest.mark.parametrize(
    ("rule", "one", "other", "calls"),
    [
        ("escapes are spelling", {"target": "/v1/books/one"}, {"target": "/v1/books/%6Fne"}, 1),
        ("another resource", {"target": "/v1/books/one"}, {"target": "/v1/books/two"}, 2),
        ("what is handed on", {"accept_language": "de"}, {"accept_language": "en"}, 2),
        ("the same is handed on", {"accept_language": "de"}, {"accept_language": "de"}, 1),
        ("what is not handed on", {"user_agent": "a"}, {"user_agent": "b"}, 1),
        ("the request's id", {"x_request_id": "a"}, {"x_request_id": "b"}, 1),
        ("an answer to somebody is nobody else's", {"authorization": "Bearer a"}, {}, 2),
        ("nor is it his own the next time", {"authorization": "Bearer a"}, {"authorization": "Bearer a"}, 2),
        ("an answer to everybody is not for somebody", {}, {"authorization": "Bearer a"}, 2),
        ("cookies, though they are not handed on", {"cookie": "a=1"}, {"cookie": "a=1"}, 2),
        ("5.2.1.4: no-cache", {}, {"cache_control": "no-cache"}, 2),
        ("5.2.1.1: a reload", {}, {"cache_control": "max-age=0"}, 2),
        ("5.2.1.1: young enough", {}, {"cache_control": "max-age=60"}, 1),
        ("5.2.1.5: no-store is not stored", {"cache_control": "no-store"}, {}, 2),
        ("errors are not stored", {"target": "/v1/books/missing"}, {"target": "/v1/books/missing"}, 2),
    ],
)
async def test_which_requests_share_an_answer(stored, backend, rule, one, other, calls):
    await get(stored, **one)
    await get(stored, **other)
    assert calls == len(backend.calls), rule


async def test_forwarded_credentials_of_ones_own_are_known_by_their_names(make, backend):
    app = await make(methods={GET_BOOK: Rest(cache=LASTING)}, forward_headers=("x-api-key",))
    responses = [await get(app, x_api_key="a") for _ in range(2)]
    assert len(backend.calls) == 2
    assert responses[1].headers["cache-control"] == "private, max-age=600"


async def test_only_if_cached(stored, backend):
    response = await get(stored, cache_control="only-if-cached")
    assert (response.status, response.json["code"]) == (504, 14)
    assert backend.calls == []
    await get(stored)
    assert (await get(stored, cache_control="only-if-cached")).status == 200


async def test_a_change_by_the_same_path_makes_it_worthless(stored, backend):
    await get(stored)
    await call(stored, "PUT", "/v1/books/%6Fne", {"title": "x"})
    await get(stored)
    assert [name for name, _ in backend.calls] == ["_get_book", "_replace_book", "_get_book"]


async def test_a_change_that_was_refused_makes_nothing_worthless(stored, backend):
    await get(stored)
    await call(stored, "PUT", BOOK, {"nothing": "like it"})
    await get(stored)
    assert len(backend.calls) == 1


async def test_a_crowd_makes_one_call(stored, backend):
    crowd = [asyncio.create_task(get(stored, "/v1/books/held")) for _ in range(20)]
    await backend.started.wait()
    backend.release.set()
    responses = await asyncio.gather(*crowd)
    assert {response.status for response in responses} == {200}
    assert len({response.body for response in responses}) == 1
    assert len(backend.calls) == 1


async def test_a_crowd_shares_a_failure_and_it_is_not_stored(stored, backend):
    crowd = await asyncio.gather(*(get(stored, "/v1/books/busy") for _ in range(5)))
    assert {(response.status, response.headers["retry-after"]) for response in crowd} == {(429, "3")}
    assert len(backend.calls) == 1
    await get(stored, "/v1/books/busy")
    assert len(backend.calls) == 2


async def test_when_the_first_one_goes_the_others_get_their_answer(stored, backend):
    leader = Request("GET", "/v1/books/held")
    leading = asyncio.create_task(leader.run(stored))
    await backend.started.wait()
    follower = asyncio.create_task(get(stored, "/v1/books/held"))
    await asyncio.sleep(0)
    leading.cancel()
    await asyncio.wait([leading])
    backend.release.set()
    assert (await follower).status == 200
    assert not backend.cancelled.is_set()


async def test_when_the_last_one_goes_the_call_is_cancelled(stored, backend):
    request = Request("GET", "/v1/books/held")
    running = asyncio.create_task(request.run(stored))
    await backend.started.wait()
    request.disconnect()
    await asyncio.wait_for(backend.cancelled.wait(), 5)
    await asyncio.wait([running])
    assert stored.live.store.tasks == set()


async def test_ones_own_deadline_ends_ones_own_waiting(stored, backend):
    hurried = asyncio.create_task(get(stored, "/v1/books/held", request_timeout="0.05"))
    await backend.started.wait()
    patient = asyncio.create_task(get(stored, "/v1/books/held"))
    assert (await hurried).status == 504
    backend.release.set()
    assert (await patient).status == 200
    assert len(backend.calls) == 1


async def test_a_stale_answer_is_served_at_once_and_refreshed_behind_its_back(make, backend):
    app = await make(methods={GET_BOOK: Rest(cache=STALE)})
    await get(app, "/v1/books/one")
    stale = await get(app, "/v1/books/one")
    assert (stale.status, stale.headers["age"]) == (200, "0")
    assert stale.headers["cache-control"] == "public, max-age=0, stale-while-revalidate=600"
    (refresh,) = app.live.store.tasks
    await refresh
    assert len(backend.calls) == 2


async def test_what_is_stored_is_bounded(make, backend):
    app = await make(methods={GET_BOOK: Rest(cache=LASTING)}, cache_bytes=4000)
    for number in range(20):
        await get(app, f"/v1/books/book{number}")
    cache = app.live.store.cache
    assert cache.size <= 4000
    assert (len(cache), cache.evictions) == (3, 17)


async def test_no_bytes_no_store(make, backend):
    app = await make(methods={GET_BOOK: Rest(cache=LASTING)}, cache_bytes=0)
    assert app.live.store is None
    assert [(await get(app)).status for _ in range(2)] == [200, 200]
    assert len(backend.calls) == 2


async def test_a_new_schema_begins_with_an_empty_store(stored, backend):
    await get(stored)
    await stored.swap(stored.live.blueprint)
    await get(stored)
    assert len(backend.calls) == 2


async def test_it_is_counted(make):
    telemetry = Telemetry()
    app = await make(methods={GET_BOOK: Rest(cache=LASTING)}, telemetry=telemetry)
    for headers in ({}, {}, {"authorization": "x"}, {"cache_control": "no-cache"}):
        await get(app, **headers)
    counted = {
        series.attributes[0][1]: series.value
        for series in telemetry.snapshot()
        if series.instrument is CACHE_REQUESTS and series.value
    }
    assert counted == {"miss": 2, "hit": 1, "bypass": 1}


@pytest.mark.parametrize(
    ("method", "rest", "problem"),
    [
        (
            "library.v1.LibraryService/GetBok",
            Rest(),
            'gateway.methods[0].method: "library.v1.LibraryService/GetBok" is not a method of the services exposed',
        ),
        (
            GET_BOOK,
            Rest(cache=Cache(vary=("accept-language", "x-tenant"))),
            'gateway.methods[0].rest.cache.vary[1]: "x-tenant" is not among gateway.forward_headers',
        ),
        (
            "library.v1.LibraryService/ListBooks",
            Rest(cache=Cache()),
            "gateway.methods[0].rest.cache: a response that is a stream",
        ),
        (
            "library.v1.LibraryService/ListBooks",
            Rest(event_id="name"),
            'gateway.methods[0].rest.event_id: "name": library.v1.Book has no field "name"',
        ),
        (
            "library.v1.LibraryService/ListBooks",
            Rest(event_id="id", last_event_id="count.x"),
            'gateway.methods[0].rest.last_event_id: "count.x": library.v1.ListBooksRequest.count has no fields',
        ),
        (GET_BOOK, Rest(event_id="id"), "gateway.methods[0].rest.event_id: the response is one message"),
    ],
)
async def test_what_could_have_no_effect_is_a_problem(make, method, rest, problem):
    with pytest.raises(ConfigError) as caught:
        await make(methods={method: rest})
    assert problem in str(caught.value)
