"""A request is answered with what the backend said, or with what is wrong with the request."""

from __future__ import annotations

import json

import pytest

from tests.gateway.asgi.client import Request, call


async def test_one_rpc(app):
    response = await call(app, "GET", "/v1/books/one")
    assert response.status == 200
    assert response.json == {"id": "one", "title": "Title of one", "pages": 7, "sequel": "one-2"}
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-length"] == str(len(response.body))
    assert len(response.headers["x-request-id"]) == 24


async def test_a_raw_path_is_matched_so_an_encoded_slash_stays_in_its_segment(app):
    response = await call(app, "GET", "/v1/books/a%2Fb")
    assert response.json["id"] == "a/b"


async def test_a_server_without_raw_path_is_served_all_the_same(app):
    request = Request("GET", "/v1/books/one")
    del request.scope["raw_path"]
    assert (await request.run(app)).json["id"] == "one"


async def test_body_field_and_query(app):
    response = await call(app, "POST", "/v1/books?draft=true", {"id": "new", "pages": 3})
    assert response.json == {"id": "new", "pages": 3}


async def test_response_body_is_one_field(app):
    response = await call(app, "PUT", "/v1/books/one", {"title": "Changed"})
    assert response.body == b'"Changed"'


async def test_http_body_is_sent_as_it_is(app):
    response = await call(app, "GET", "/v1/books/one/cover")
    assert (response.headers["content-type"], response.body) == ("image/png", b"\x89PNG")


async def test_a_method_without_annotation_is_a_post_to_its_name(app):
    response = await call(app, "POST", "/library.v1.LibraryService/Echo", {})
    assert response.status == 200


async def test_head_is_get_without_its_body(app):
    get = await call(app, "GET", "/v1/books/one")
    head = await call(app, "HEAD", "/v1/books/one")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_options_lists_the_methods(app):
    response = await call(app, "OPTIONS", "/v1/books/one")
    assert (response.status, response.headers["allow"]) == (204, "GET, HEAD, OPTIONS, PUT")


async def test_a_composed_method_answers_with_several_backends(app, backend):
    response = await call(app, "GET", "/v1/desks/one")
    assert response.json["book"]["id"] == "one"
    assert response.json["sequel"]["id"] == "one-2"
    assert [name for name, _ in backend.calls] == ["_get_book", "_get_book"]


async def test_a_composed_method_that_fails_answers_with_the_steps_status(app):
    response = await call(app, "GET", "/v1/desks/missing")
    assert response.status == 404
    assert response.json["message"] == 'step "book": no such book'
    assert response.json["details"][0]["resourceName"] == "missing"


BAD = [
    ("malformed json", "POST", "/v1/books", b'{"id": ', {}),
    ("not an object", "POST", "/v1/books", b"[]", {}),
    ("wrong type", "POST", "/v1/books", b'{"pages": "many"}', {}),
    ("number too large", "POST", "/v1/books", b'{"pages": 99999999999}', {}),
    ("unknown field", "POST", "/v1/books", b'{"colour": "red"}', {}),
    ("not utf-8", "POST", "/v1/books", b'{"id": "\xff\xfe"}', {}),
    ("lone surrogate", "POST", "/v1/books", b'{"id": "\\ud800"}', {}),
    ("nested too deeply", "POST", "/v1/books", b"[" * 100_000, {}),
    ("unknown query", "GET", "/v1/books/one?colour=red", None, {}),
    ("query not a number", "GET", "/v1/books/one?revision=first", None, {}),
    ("query given twice", "GET", "/v1/books/one?revision=1&revision=2", None, {}),
    ("query against path", "GET", "/v1/books/one?id=two", None, {}),
    ("query into a message", "GET", "/v1/books/one?id.x=two", None, {}),
    ("bad percent in query", "GET", "/v1/books/one?id=%zz", None, {}),
    ("bad percent in path", "GET", "/v1/books/%zz", None, {}),
    ("path not utf-8", "GET", "/v1/books/%ff", None, {}),
    ("a body for get", "GET", "/v1/books/one", b"{}", {}),
    ("bad grpc-timeout", "GET", "/v1/books/one", None, {"grpc-timeout": "soon"}),
    ("grpc-timeout of nothing", "GET", "/v1/books/one", None, {"grpc-timeout": "0S"}),
    ("grpc-timeout too long", "GET", "/v1/books/one", None, {"grpc-timeout": "123456789S"}),
    ("bad request-timeout", "GET", "/v1/books/one", None, {"request-timeout": "-1"}),
    ("request-timeout infinite", "GET", "/v1/books/one", None, {"request-timeout": "inf"}),
    ("forwarded header not ascii", "GET", "/v1/books/one", None, {"accept-language": "d\xe9"}),
]


@pytest.mark.parametrize(
    ("method", "target", "body", "headers"), [bad[1:] for bad in BAD], ids=[bad[0] for bad in BAD]
)
async def test_a_bad_request_is_refused_with_field_violations(app, backend, method, target, body, headers):
    response = await call(app, method, target, body, headers=list(headers.items()))
    assert response.status == 400
    error = response.json
    assert error["code"] == 3
    assert error["message"]
    assert error["details"][0]["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert all(violation["description"] for violation in error["details"][0]["fieldViolations"])
    assert "Traceback" not in response.body.decode()
    assert backend.calls == []


FRAMING = [
    ("no host", {"host": False}, []),
    ("two hosts", {}, [("host", "other")]),
    ("empty host", {"host": False}, [("host", "")]),
    ("content-length twice", {}, [("content-length", "2"), ("content-length", "2")]),
    ("content-length and transfer-encoding", {}, [("content-length", "2"), ("transfer-encoding", "chunked")]),
    ("content-length signed", {}, [("content-length", "+2")]),
    ("content-length negative", {}, [("content-length", "-2")]),
    ("content-length not ascii", {}, [("content-length", "\xb2")]),
    ("content-length enormous", {}, [("content-length", "9" * 30)]),
]


@pytest.mark.parametrize(
    ("options", "headers"), [row[1:] for row in FRAMING], ids=[row[0] for row in FRAMING]
)
async def test_framing_that_could_hide_another_request_is_refused(app, options, headers):
    response = await call(app, "POST", "/v1/books", b"{}", headers=headers, **options)
    assert response.status == 400
    assert response.json["code"] == 3


@pytest.mark.parametrize("codings", [["gzip, chunked"], ["chunked", "chunked"], ["identity"]], ids=str)
async def test_transfer_codings_other_than_chunked_are_refused(app, codings):
    """RFC 9112, 6.1: what is not understood must not be read as if it were."""
    headers = [("transfer-encoding", coding) for coding in codings]
    response = await call(app, "POST", "/v1/books", b"{}", headers=headers)
    assert response.status == 501
    assert response.json["code"] == 12


async def test_nobody_needs_a_host_in_http_2_or_1_0(app):
    for version in ("1.0", "2"):
        request = Request("GET", "/v1/books/one", version=version, host=False)
        request.messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        assert (await request.run(app)).status == 200


async def test_a_path_nobody_mapped(app):
    response = await call(app, "GET", "/nowhere")
    assert (response.status, response.json) == (
        404,
        {"code": 5, "message": 'no method is mapped to "/nowhere"', "details": []},
    )


async def test_another_method_is_told_which_are_allowed(app):
    response = await call(app, "PATCH", "/v1/books/one")
    assert (response.status, response.headers["allow"], response.json["code"]) == (
        405,
        "GET, HEAD, OPTIONS, PUT",
        12,
    )


async def test_only_json_is_read(app):
    response = await call(app, "POST", "/v1/books", b"id=1", headers=[("content-type", "text/plain")])
    assert (response.status, response.json["code"]) == (415, 3)
    assert (
        await call(
            app, "POST", "/v1/books", b"{}", headers=[("content-type", "Application/JSON; charset=UTF-8")]
        )
    ).status == 200


async def test_an_unknown_coding_of_the_body_is_refused(app):
    response = await call(app, "POST", "/v1/books", b"{}", headers=[("content-encoding", "compress")])
    assert (response.status, response.json["code"]) == (415, 3)
    assert response.headers["accept-encoding"] == "zstd, br, gzip, deflate"


async def test_an_announced_body_over_the_limit_is_not_read(make):
    app = await make(max_body_bytes=10)
    request = Request("POST", "/v1/books", headers=[("content-length", "11")])
    response = await request.run(app)
    assert (response.status, response.headers["connection"]) == (413, "close")
    assert response.json["message"] == "the body is larger than the limit of 10 bytes"


async def test_an_unannounced_body_is_read_up_to_the_limit(make):
    app = await make(max_body_bytes=10)
    request = Request(
        "POST", "/v1/books", headers=[("transfer-encoding", "chunked"), ("content-type", "application/json")]
    )
    for _ in range(3):
        request.messages.put_nowait({"type": "http.request", "body": b"x" * 6, "more_body": True})
    response = await request.run(app)
    assert response.status == 413
    assert request.messages.qsize() == 1


async def test_a_body_in_pieces(app):
    request = Request("POST", "/v1/books", headers=[("transfer-encoding", "chunked")])
    for piece in (b'{"id"', b': "pie', b'ce"}'):
        request.messages.put_nowait({"type": "http.request", "body": piece, "more_body": True})
    request.messages.put_nowait({"type": "http.request"})
    assert (await request.run(app)).json == {"id": "piece"}


@pytest.mark.parametrize("first", [None, b'{"id"'], ids=["silent", "dripping"])
async def test_a_body_that_does_not_come_is_given_up(make, first):
    app = await make(body_timeout=0.05)
    request = Request("POST", "/v1/books", headers=[("content-length", "20")])
    if first:
        request.messages.put_nowait({"type": "http.request", "body": first, "more_body": True})
    response = await request.run(app)
    assert (response.status, response.headers["connection"]) == (408, "close")
    assert response.json == {"code": 4, "message": "the body did not arrive within 0.05 s", "details": []}


async def test_unknown_query_parameters_may_be_ignored(make):
    app = await make(ignore_unknown_query=True)
    assert (await call(app, "GET", "/v1/books/one?colour=red")).status == 200


async def test_a_fault_of_ours_is_logged_under_an_id_and_not_shown(app, caplog, monkeypatch):
    def explode(*_: object) -> None:
        raise RuntimeError("inner secret")

    endpoint = app.live.trie.find("GET", "/v1/books/one").route
    monkeypatch.setattr(endpoint, "_bind", explode)
    response = await call(app, "GET", "/v1/books/one", headers=[("x-request-id", "abc-1")])
    assert response.status == 500
    assert response.json == {
        "code": 13,
        "message": "internal error; the gateway's log has it under request id abc-1",
        "details": [],
    }
    assert "abc-1" in caplog.text
    assert "inner secret" in caplog.text


async def test_violations_are_listed_all_at_once(app):
    response = await call(app, "POST", "/v1/books?draft=perhaps", {"pages": "many", "colour": 1})
    fields = {violation["field"] for violation in response.json["details"][0]["fieldViolations"]}
    assert fields == {"book.pages", "book.colour", "draft"}
    json.dumps(response.json)
