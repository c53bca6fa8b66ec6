"""Bodies other than plain JSON reach the backend, unless a page of another origin is behind them."""

from __future__ import annotations

import pytest

from mesh.config import edge
from tests.gateway.asgi.client import Request, call

FORM = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data; boundary=b"
EVIL = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")]
PARTED = (
    b'--b\r\ncontent-disposition: form-data; name="id"\r\n\r\nnew\r\n'
    b'--b\r\ncontent-disposition: form-data; name="pages"\r\n\r\n3\r\n--b--\r\n'
)


async def post(app, body, *headers, target="/v1/books"):
    return await Request("POST", target, headers=list(headers), body=body).run(app)


@pytest.mark.parametrize(("content_type", "body"), [(FORM, b"id=new&pages=3"), (PARTS, PARTED)])
async def test_a_form_is_the_message_its_fields_name(app, content_type, body):
    response = await post(app, body, ("content-type", content_type))
    assert (response.status, response.json) == (200, {"id": "new", "pages": 3})


async def test_a_form_is_refused_field_by_field(app):
    response = await post(app, b"pages=x&idd=1", ("content-type", FORM))
    assert response.status == 400
    (detail,) = response.json["details"]
    assert [violation["field"] for violation in detail["fieldViolations"]] == ["book.pages", "book.idd"]


@pytest.mark.parametrize("content_type", [FORM, PARTS, "text/plain", ""])
async def test_a_page_of_another_origin_cannot_send_what_its_visitors_browser_sends_unasked(
    app, content_type
):
    body = {FORM: b"id=x", PARTS: PARTED}.get(content_type, b'{"id": "x"}')
    response = await post(app, body, ("content-type", content_type or "-"), *EVIL)
    assert (response.status, response.json["code"]) == (403, 7)
    assert 'a page of origin "https://evil.example" may not send this' in response.json["message"]


async def test_nor_start_a_method_that_takes_no_body(app):
    response = await post(app, b"", *EVIL, target="/library.v1.LibraryService/Echo")
    assert response.status == 403


async def test_what_browsers_ask_about_first_is_for_cors(app):
    response = await post(app, b'{"id": "x"}', ("content-type", "application/json"), *EVIL)
    assert response.status == 200
    response = await Request("GET", "/v1/books/one", headers=EVIL).run(app)
    assert response.status == 200


async def test_an_origin_that_cors_names_may_send_forms(make):
    app = await make(cors=edge.Cors(allow_origins=("https://shop.example",)))
    headers = [("content-type", FORM), ("sec-fetch-site", "cross-site")]
    assert (await post(app, b"id=x", *headers, ("origin", "https://shop.example"))).status == 200
    assert (await post(app, b"id=x", *headers, ("origin", "https://evil.example"))).status == 403


async def test_json_is_written_and_read_as_the_settings_say(make):
    app = await make(json=edge.Json(emit_defaults=True, ignore_unknown=True))
    response = await call(app, "POST", "/v1/books", {"id": "new", "colour": "red"})
    assert response.json == {"id": "new", "title": "", "pages": 0, "sequel": ""}
