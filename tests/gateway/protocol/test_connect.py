"""What Connect alone says: bare unary bodies with HTTP's statuses, GET, the Error's JSON, the end of a stream."""

from __future__ import annotations

import base64
import gzip
import json

import brotli
import pytest
import zstandard

from gateway.render.status import HTTP_STATUS
from mesh.call import CODE_NAMES
from mesh.config.edge import Compression
from tests.gateway.asgi.client import call
from tests.gateway.protocol.backend import SERVICE
from tests.gateway.protocol.speech import ConnectSpeech, envelope, envelopes

SAY, LOOK, COUNT = (f"/{SERVICE}/{method}" for method in ("Say", "Look", "Count"))
STREAM = ConnectSpeech("proto")


async def post(app, body, *headers, path=SAY, content_type="application/json"):
    return await call(app, "POST", path, body, headers=[("content-type", content_type), *headers])


async def test_a_unary_answer_is_the_bare_message_with_prefixed_trailers(app):
    response = await post(app, {"text": "hi"})

    assert (200, "application/json") == (response.status, response.headers["content-type"])
    assert "hi" == response.json["text"]
    assert ("first", "AAE") == (response.headers["x-lead"], response.headers["x-lead-bin"])
    assert ("last", "/w") == (response.headers["trailer-x-trail"], response.headers["trailer-x-trail-bin"])
    assert "trailer-x-secret" not in response.headers


@pytest.mark.parametrize("code", range(1, 17))
async def test_every_code_has_its_name_and_http_status(app, code):
    """The table under "Error Codes"; it is google/rpc/code.proto's."""
    response = await post(app, {"text": "no", "code": code})

    name = {"CANCELLED": "canceled"}.get(CODE_NAMES[code], CODE_NAMES[code].lower())
    assert (HTTP_STATUS[code], name) == (response.status, response.json["code"])


async def test_an_error_has_typed_details(app):
    response = await post(app, {"text": "busy", "code": 8})

    assert {
        "code": "resource_exhausted",
        "message": "busy",
        "details": [
            {"type": "google.rpc.RetryInfo", "value": "CgIIAg", "debug": {"retryDelay": "2s"}},
        ],
    } == response.json
    assert ("2", "last") == (response.headers["retry-after"], response.headers["trailer-x-trail"])


@pytest.mark.parametrize(
    ("body", "headers", "status", "code", "message"),
    [
        (b"{", [], 400, "invalid_argument", "malformed JSON"),
        (b"", [], 400, "invalid_argument", "malformed JSON"),
        (b'{"texd": ""}', [], 400, "invalid_argument", "texd"),
        # "If the client uses an unsupported Content-Encoding, servers should return an error with code "unimplemented" and
        # a message listing the supported encodings."
        (b"{}", [("content-encoding", "lzma")], 501, "unimplemented", "only identity, gzip, br, zstd"),
        (b"{}", [("connect-protocol-version", "2")], 400, "invalid_argument", 'is not known, only "1"'),
        (b"{}", [("connect-timeout-ms", "1.5")], 400, "invalid_argument", "is not a number of milliseconds"),
        (b"{}", [("connect-timeout-ms", "12345678901")], 400, "invalid_argument", "up to 10 digits"),
        (b"{}", [("connect-timeout-ms", "0")], 504, "deadline_exceeded", "no time is left"),
    ],
)
async def test_what_is_wrong_with_a_unary_request(app, body, headers, status, code, message):
    response = await post(app, body, *headers)

    assert (status, code) == (response.status, response.json["code"])
    assert message in response.json["message"]
    assert "application/json" == response.headers["content-type"]


async def test_refused_fields_are_details(app):
    response = await post(app, {"code": "x"})

    detail = response.json["details"][0]
    assert "google.rpc.BadRequest" == detail["type"]
    assert b"code" in base64.b64decode(detail["value"] + "==")


PACK = {"gzip": gzip.compress, "br": brotli.compress, "zstd": zstandard.ZstdCompressor().compress}


@pytest.mark.parametrize("coding", PACK)
async def test_unary_bodies_are_compressed_both_ways(app, backend, coding):
    response = await post(
        app,
        PACK[coding](backend.request(text="x" * 500)),
        ("content-encoding", coding),
        ("accept-encoding", coding),
        content_type="application/proto",
    )

    assert (200, coding) == (response.status, response.headers["content-encoding"])
    assert len(response.body) < 300


@pytest.mark.parametrize("coding", PACK)
async def test_stream_messages_are_compressed_both_ways(app, backend, coding):
    response = await post(
        app,
        envelope(PACK[coding](backend.request(text="x" * 500, messages=2)), 1),
        ("connect-content-encoding", coding),
        content_type="application/connect+proto",
        path=COUNT,
    )

    # "If the client omits Accept-Encoding, servers must assume that the client accepts the Content-Encoding used".
    assert coding == response.headers["connect-content-encoding"]
    assert [1, 1, 2] == [flags for flags, _ in envelopes(response.body)]


async def test_compression_may_be_turned_off(make, backend):
    app = await make(compression=Compression(enabled=False))

    response = await post(
        app,
        envelope(gzip.compress(backend.request(text="x" * 500, messages=1)), 1),
        ("connect-content-encoding", "gzip"),
        content_type="application/connect+proto",
        path=COUNT,
    )

    assert [0, 2] == [flags for flags, _ in envelopes(response.body)]


@pytest.mark.parametrize(
    ("body", "headers", "code", "message"),
    [
        # "Request streams must always leave this bit unset."
        (envelope(b"{}", 2), [], "INVALID_ARGUMENT", "flags 0x02 before a message"),
        (envelope(b"x", 1), [], "INTERNAL", "connect-content-encoding does not say how"),
        (b"", [("connect-content-encoding", "lzma")], "UNIMPLEMENTED", "only identity, gzip, br, zstd"),
        (b"", [("connect-timeout-ms", "-1")], "INVALID_ARGUMENT", "connect-timeout-ms"),
        (b"\0\0", [], "INVALID_ARGUMENT", "the body ends within a message"),
    ],
)
@pytest.mark.parametrize("method", ["Count", "Gather", "Chat"])
async def test_what_is_wrong_with_a_stream_is_said_in_its_end(
    app, backend, method, body, headers, code, message
):
    """Streaming responses always have an HTTP status of 200 OK."""
    response = await post(
        app, body, *headers, content_type="application/connect+proto", path=f"/{SERVICE}/{method}"
    )

    told = STREAM.read(backend, method, response)
    assert (code, []) == (told.code, told.messages)
    assert message in told.message


async def test_the_end_of_a_stream_that_went_well_holds_its_trailers(app, backend):
    response = await post(app, envelope(b"{}"), content_type="application/connect+json", path=COUNT)

    assert [(2, {"metadata": {"x-trail": ["last"], "x-trail-bin": ["/w"]}})] == [
        (flags, json.loads(data)) for flags, data in envelopes(response.body)
    ]


# GET

JSON_SAFE = "%7B%22text%22%3A%22a%20b%22%7D"


def url_safe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (f"connect=v1&encoding=json&message={JSON_SAFE}", "a b"),
        # "Servers must accept query parameters in any order and allow unknown query parameters".
        (f"other=1&message={JSON_SAFE}&encoding=json", "a b"),
        ("connect=v1&encoding=json&message=%7B%7D", ""),
        ("connect=v1&base64=1&encoding=json&message=" + url_safe(b'{"text":"\xc3\xbf?"}').rstrip("="), "ÿ?"),
        # "Optionally, the base64-encoded message may contain padding characters, but these [...] must be percent-encoded".
        ("connect=v1&base64=1&encoding=json&message=" + url_safe(b'{"text":"x"}  ').replace("=", "%3D"), "x"),
        ("connect=v1&base64=1&encoding=proto&message=" + url_safe(b"\n\x02hi"), "hi"),
        # "Other values for the "base64" parameter will simply be ignored."
        ("connect=v1&base64=0&encoding=proto&message=%0A%02hi", "hi"),
        ("base64=1&encoding=proto&compression=gzip&message=" + url_safe(gzip.compress(b"\n\x02hi")), "hi"),
        # "Servers must not attempt to decompress zero-length Message-Query."
        ("base64=1&encoding=proto&compression=gzip&message=", ""),
        ("encoding=json&compression=identity&message=%7B%7D", ""),
    ],
)
async def test_a_method_without_side_effects_answers_get(app, backend, query, text):
    response = await call(app, "GET", f"{LOOK}?{query}")

    assert 200 == response.status, response
    if "encoding=json" in query:
        assert text == response.json.get("text", "")
        assert "application/json" == response.headers["content-type"]
    else:
        assert text == backend.read(response.body).text
        assert "application/proto" == response.headers["content-type"]


@pytest.mark.parametrize(
    ("query", "status", "code", "message"),
    [
        ("connect=v2&encoding=json&message={}", 400, "invalid_argument", 'only "v1"'),
        ("connect=v1&encoding=json", 400, "invalid_argument", "query parameter message: is required"),
        ("connect=v1&message={}", 400, "invalid_argument", "query parameter encoding: is required"),
        # "If the server doesn't support the specified Message-Codec, it must respond with [...] 415".
        ("connect=v1&encoding=xml&message={}", 415, "invalid_argument", '"xml" is not known'),
        ("connect=v1&encoding=proto&base64=1&message=!", 400, "invalid_argument", "is not base64"),
        # "an error with code "unimplemented" and a message listing the supported encodings"
        ("encoding=json&compression=lzma&message={}", 501, "unimplemented", "only identity, gzip, br, zstd"),
        ("encoding=proto&compression=gzip&message=x", 400, "invalid_argument", "gzip data"),
    ],
)
async def test_what_is_wrong_with_a_get(app, query, status, code, message):
    response = await call(app, "GET", f"{LOOK}?{query}")

    assert (status, code) == (response.status, response.json["code"])
    assert message in response.json["message"]


async def test_a_get_is_revalidated_by_its_tag(app):
    target = f"{LOOK}?connect=v1&encoding=json&message={JSON_SAFE}"
    first = await call(app, "GET", target)

    # The backend says how many seconds are left, so that no two answers are the same: any will do.
    second = await call(app, "GET", target, headers=[("if-none-match", "*")])

    assert (200, 304, b"") == (first.status, second.status, second.body)
    assert first.headers["etag"]


async def test_head_has_the_headers_of_get(app):
    response = await call(app, "HEAD", f"{LOOK}?connect=v1&encoding=json&message=%7B%7D")

    assert (200, b"") == (response.status, response.body)
    assert int(response.headers["content-length"]) > 0


async def test_a_stream_that_is_compressed_as_a_whole_is_refused(app, backend):
    response = await post(
        app,
        gzip.compress(envelope(b"")),
        ("content-encoding", "gzip"),
        content_type="application/connect+proto",
        path=f"/{SERVICE}/Gather",
    )

    told = STREAM.read(backend, "Gather", response)
    assert "UNIMPLEMENTED" == told.code
    assert "message by message" in told.message
