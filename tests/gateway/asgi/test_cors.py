"""Pages of other origins: what the gateway answers to their browsers, whatever the answer is."""

from __future__ import annotations

import pytest

from mesh.config.edge import Cors
from tests.gateway.asgi.client import call

SHOP = "https://shop.example"
LISTED = Cors(allow_origins=(SHOP,), allow_credentials=True)


async def ask(app, target, method="PUT", origin=SHOP):
    headers = [("origin", origin), ("access-control-request-method", method)]
    return await call(app, "OPTIONS", target, headers=headers)


async def test_a_preflight_request_is_told_what_the_path_allows(make):
    response = await ask(await make(cors=LISTED), "/v1/books/one")
    assert (response.status, response.body) == (204, b"")
    assert "content-length" not in response.headers
    assert "content-type" not in response.headers
    assert response.headers["access-control-allow-origin"] == SHOP
    assert response.headers["access-control-allow-credentials"] == "true"
    assert response.headers["access-control-allow-methods"] == response.headers["allow"]
    assert "GET" in response.headers["allow"].split(", ")
    assert "authorization" in response.headers["access-control-allow-headers"].split(", ")
    assert response.headers["access-control-max-age"] == "600"
    assert response.headers["vary"] == "origin"
    assert response.headers["x-request-id"]


async def test_a_preflight_request_for_another_protocols_path(make):
    response = await ask(await make(cors=LISTED), "/library.v1.LibraryService/GetBook", "POST")
    assert (response.status, "POST" in response.headers["access-control-allow-methods"]) == (204, True)


async def test_an_origin_that_is_not_allowed_learns_nothing(make):
    response = await ask(await make(cors=LISTED), "/v1/books/one", origin="https://evil.example")
    assert response.status == 204
    assert [name for name in response.headers if name.startswith("access-control")] == []
    assert response.headers["vary"] == "origin"


async def test_a_path_that_is_not_there_has_no_preflight(make):
    response = await ask(await make(cors=LISTED), "/v1/nothing")
    assert (response.status, response.headers["access-control-allow-origin"]) == (404, SHOP)


async def test_options_without_a_question_are_answered_as_ever(make):
    app = await make(cors=LISTED)
    response = await call(app, "OPTIONS", "/v1/books/one", headers=[("origin", SHOP)])
    assert (response.status, "access-control-allow-methods" in response.headers) == (204, False)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v1/books/one", 200),
        ("/v1/books/missing", 404),
        ("/nothing", 404),
        ("/v1/books?count=1", 200),
        ("/v1/books/one:read", 200),
        ("/openapi.json", 200),
        ("/healthz", 200),
        ("/v1/../secret", 400),
    ],
)
async def test_every_answer_says_who_may_read_it(make, target, status):
    app = await make(cors=LISTED)
    response = await call(app, "GET", target, headers=[("origin", SHOP)])
    assert (response.status, response.headers["access-control-allow-origin"]) == (status, SHOP)
    assert "x-request-id" in response.headers["access-control-expose-headers"]
    assert "origin" in response.headers["vary"].split(", ")
    response = await call(app, "GET", target)
    assert (response.status, "access-control-allow-origin" in response.headers) == (status, False)
    assert "origin" in response.headers["vary"].split(", ")


async def test_a_refusal_of_the_headers_themselves_can_be_read(make):
    app = await make(cors=LISTED)
    response = await call(app, "GET", "/v1/books/one", headers=[("origin", SHOP), ("grpc-timeout", "soon")])
    assert (response.status, response.headers["access-control-allow-origin"]) == (400, SHOP)


async def test_everybody(make):
    app = await make(cors=Cors(allow_origins=("*",)))
    response = await call(app, "GET", "/v1/books/one")
    assert response.headers["access-control-allow-origin"] == "*"
    assert "origin" not in response.headers.get("vary", "")


async def test_without_the_setting_there_is_nothing_of_it(app):
    response = await ask(app, "/v1/books/one")
    assert response.status == 204
    assert [name for name in response.headers if name.startswith("access-control") or name == "vary"] == []
