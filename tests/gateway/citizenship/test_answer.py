"""What every answer carries: a tag, the right headers for conditions, parts, codings and HEAD."""

from __future__ import annotations

import gzip
import json
import zlib

import brotli
import pytest
import zstandard

from gateway.edge.etag import strong, weak
from mesh.config.edge import Cache, CacheScope, Compression, Rest
from tests.gateway.asgi.client import call

GET_BOOK = "library.v1.LibraryService/GetBook"
BOOK = "/v1/books/one"
LONG = "/v1/books/" + "long" * 500
COVER = "/v1/books/one/cover"
PICTURE = b"\x89PNG"
DECODERS = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": lambda packed: zstandard.ZstdDecompressor().decompressobj().decompress(packed),
}


async def get(app, target, method="GET", **headers):
    return await call(
        app, method, target, headers=[(name.replace("_", "-"), value) for name, value in headers.items()]
    )


# Tags and conditions


async def test_an_answer_has_a_tag_of_its_bytes(app):
    response = await get(app, BOOK)
    assert response.headers["etag"].encode() == strong(response.body)
    assert "vary" not in response.headers
    assert "cache-control" not in response.headers, "nobody said anything about caching"


async def test_who_has_it_is_not_sent_it_again(app):
    tag = (await get(app, BOOK)).headers["etag"]
    response = await get(app, BOOK, if_none_match=tag)
    assert (response.status, response.body) == (304, b"")
    assert response.headers["etag"] == tag
    assert response.headers.keys().isdisjoint({"content-length", "content-type", "content-encoding"})
    assert (await get(app, BOOK, "HEAD", if_none_match=f'"other", W/{tag}')).status == 304


async def test_a_condition_that_failed_sends_no_answer(app):
    response = await get(app, BOOK, if_match='"other"')
    assert (response.status, response.json["code"]) == (412, 9)
    assert (await get(app, BOOK, if_match=(await get(app, BOOK)).headers["etag"])).status == 200


async def test_conditions_do_not_turn_errors_into_something_else(app):
    response = await get(app, "/v1/books/missing", if_none_match="*", range="bytes=0-1")
    assert response.status == 404
    assert "etag" not in response.headers


async def test_a_change_under_a_condition_is_not_made(app, backend):
    response = await call(app, "PUT", BOOK, {"title": "x"}, headers=[("if-match", '"a"')])
    assert (response.status, response.json["code"]) == (412, 9)
    assert "if-match" in response.json["message"]
    assert backend.calls == []


async def test_a_condition_that_is_handed_on_is_the_backends(make, backend):
    app = await make(forward_headers=("if-match", "if-none-match"))
    response = await call(app, "PUT", BOOK, {"title": "x"}, headers=[("if-match", '"a"')])
    assert (response.status, backend.calls[0][1]["if-match"]) == (200, '"a"')
    assert (await get(app, BOOK, if_none_match="*")).status == 200


async def test_answers_to_changes_have_no_tag(app):
    assert "etag" not in (await call(app, "PUT", BOOK, {"title": "x"})).headers


async def test_pages_are_revalidated(app):
    page = await get(app, "/docs/swagger-ui-bundle.js")
    response = await get(app, "/docs/swagger-ui-bundle.js", if_none_match=page.headers["etag"])
    assert (response.status, response.headers["cache-control"]) == (304, "no-cache")


# Compression


@pytest.mark.parametrize("coding", DECODERS)
async def test_a_large_answer_is_compressed(app, coding):
    plain = await get(app, LONG)
    packed = await get(app, LONG, accept_encoding=coding)
    assert packed.headers["content-encoding"] == coding
    assert packed.headers["content-length"] == str(len(packed.body))
    assert len(packed.body) < len(plain.body) / 5
    assert DECODERS[coding](packed.body) == plain.body
    assert plain.headers["vary"] == packed.headers["vary"] == "accept-encoding"
    assert packed.headers["etag"].encode() == weak(strong(plain.body))
    head = await get(app, LONG, "HEAD", accept_encoding=coding)
    assert (head.body, head.headers["content-length"]) == (b"", packed.headers["content-length"])
    again = await get(app, LONG, accept_encoding=coding, if_none_match=packed.headers["etag"])
    assert (again.status, again.headers["etag"], again.headers["vary"]) == (
        304,
        packed.headers["etag"],
        "accept-encoding",
    )


@pytest.mark.parametrize(
    ("rule", "target", "accept", "coding"),
    [
        ("too small to gain", BOOK, "gzip", None),
        ("a picture is packed already", COVER, "gzip", None),
        ("nothing asked for", LONG, None, None),
        ("nothing that is known", LONG, "compress", None),
        ("12.5.3: identity refused, however small", BOOK, "gzip, identity;q=0", "gzip"),
        ("12.5.3: identity refused, whatever it is", COVER, "gzip, *;q=0", "gzip"),
    ],
)
async def test_what_is_compressed(app, rule, target, accept, coding):
    headers = {} if accept is None else {"accept_encoding": accept}
    assert (await get(app, target, **headers)).headers.get("content-encoding") == coding, rule


async def test_compression_can_be_off(make):
    app = await make(compression=Compression(enabled=False))
    response = await get(app, LONG, accept_encoding="gzip, identity;q=0")
    assert response.headers.keys().isdisjoint({"content-encoding", "vary"})
    assert response.headers["etag"].encode() == strong(response.body)


async def test_errors_and_answers_to_changes_are_compressed_too(make):
    app = await make(compression=Compression(min_bytes=10))
    response = await get(app, "/v1/books/missing", accept_encoding="gzip")
    assert (response.status, json.loads(gzip.decompress(response.body))["code"]) == (404, 5)
    response = await call(app, "PUT", BOOK, {"title": "x" * 50}, headers=[("accept-encoding", "gzip")])
    assert gzip.decompress(response.body) == json.dumps("x" * 50).encode()


async def test_pages_are_compressed_once(app):
    first = await get(app, "/docs/swagger-ui-bundle.js", accept_encoding="gzip")
    page = app.live.pages[b"/docs/swagger-ui-bundle.js"]
    kept = dict(page.variants)
    again = await get(app, "/docs/swagger-ui-bundle.js", accept_encoding="gzip")
    assert gzip.decompress(first.body) == page.body
    assert first.body == again.body
    assert kept == page.variants


async def test_a_stream_is_compressed_message_by_message(app):
    plain = await get(app, "/v1/books?count=3")
    packed = await get(app, "/v1/books?count=3", accept_encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == plain.headers["vary"] == "accept, accept-encoding"
    assert gzip.decompress(packed.body) == plain.body
    read = zlib.decompressobj(31).decompress
    lines = [read(piece) for piece in packed.pieces if piece]
    assert [line for line in lines if line] == plain.body.splitlines(keepends=True)


async def test_server_sent_events_are_not_compressed(app):
    response = await get(app, "/v1/books?count=3", accept="text/event-stream", accept_encoding="gzip")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert "content-encoding" not in response.headers


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("br", brotli.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
    ],
)
async def test_a_compressed_body_is_read(app, coding, pack):
    headers = [("content-encoding", coding), ("content-type", "application/json")]
    response = await call(app, "POST", "/v1/books", pack(b'{"id":"new"}'), headers=headers)
    assert response.json == {"id": "new"}
    response = await call(app, "POST", "/v1/books", pack(bytes(6_000_000)), headers=headers)
    assert response.status == 413
    response = await call(app, "POST", "/v1/books", pack(b'{"id":"new"}')[:-1], headers=headers)
    assert (response.status, response.json["message"]) == (400, f"the body's {coding} data ends too soon")


async def test_two_codings_are_one_too_many(app):
    headers = [("content-encoding", "gzip"), ("content-encoding", "br")]
    assert (await call(app, "POST", "/v1/books", b"x", headers=headers)).status == 415


# Parts


@pytest.mark.parametrize(
    ("rule", "headers", "status", "body", "content_range"),
    [
        ("14.2: a part", {"range": "bytes=1-2"}, 206, PICTURE[1:3], "bytes 1-2/4"),
        ("14.1.2: the last bytes", {"range": "bytes=-1"}, 206, PICTURE[3:], "bytes 3-3/4"),
        ("14.2: several parts: the whole", {"range": "bytes=0-0,2-2"}, 200, PICTURE, None),
        ("14.2: an unknown unit: the whole", {"range": "pages=1"}, 200, PICTURE, None),
        ("13.1.5: changed since: the whole", {"range": "bytes=1-2", "if_range": '"a"'}, 200, PICTURE, None),
        ("15.5.17: behind the end", {"range": "bytes=4-"}, 416, None, "bytes */4"),
    ],
)
async def test_parts_of_a_file(app, rule, headers, status, body, content_range):
    response = await get(app, COVER, **headers)
    assert (status, content_range) == (response.status, response.headers.get("content-range")), rule
    if body is None:
        assert response.json["code"] == 11
    else:
        assert (body, str(len(body))) == (response.body, response.headers["content-length"])
        assert response.headers["accept-ranges"] == "bytes"
        assert response.headers["etag"].encode() == strong(PICTURE)


async def test_a_part_of_what_has_not_changed(app):
    tag = strong(PICTURE).decode()
    assert (await get(app, COVER, range="bytes=1-2", if_range=tag)).status == 206
    # 13.2.2: If-None-Match is evaluated before Range.
    assert (await get(app, COVER, range="bytes=1-2", if_none_match=tag)).status == 304


async def test_head_ignores_ranges(app):
    # 14.2: "A server MUST ignore a Range header field received with a request method that is unrecognized or for which
    # range handling is not defined. For this specification, GET is the only method".
    response = await get(app, COVER, "HEAD", range="bytes=1-2")
    assert (response.status, response.headers["content-length"], response.body) == (200, "4", b"")


async def test_json_has_no_parts(app):
    response = await get(app, BOOK, range="bytes=1-2")
    assert response.status == 200
    assert "accept-ranges" not in response.headers


# Cache-Control


async def test_an_annotated_method_says_who_may_keep_its_answers(make):
    rest = Rest(cache=Cache(max_age=60, shared_max_age=300, vary=("accept-language",)))
    app = await make(methods={GET_BOOK: rest})
    response = await get(app, BOOK)
    assert response.headers["cache-control"] == "public, max-age=60, s-maxage=300"
    assert response.headers["vary"] == "accept-language"
    assert (await get(app, LONG, accept_encoding="gzip")).headers[
        "vary"
    ] == "accept-language, accept-encoding"
    unchanged = await get(app, BOOK, if_none_match="*")
    assert unchanged.headers["cache-control"] == "public, max-age=60, s-maxage=300"
    assert unchanged.headers["vary"] == "accept-language"


async def test_an_answer_to_somebody_is_not_public(make):
    app = await make(methods={GET_BOOK: Rest(cache=Cache(max_age=60, shared_max_age=300))})
    for headers in ({"authorization": "Bearer x"}, {"cookie": "session=1"}):
        assert (await get(app, BOOK, **headers)).headers["cache-control"] == "private, max-age=60"


async def test_no_store(make):
    app = await make(methods={GET_BOOK: Rest(cache=Cache(scope=CacheScope.NONE))})
    assert (await get(app, BOOK)).headers["cache-control"] == "no-store"


async def test_errors_are_not_kept(make):
    app = await make(methods={GET_BOOK: Rest(cache=Cache(max_age=60))})
    response = await get(app, "/v1/books/missing")
    assert (response.headers["cache-control"], response.headers.get("etag")) == ("no-store", None)
