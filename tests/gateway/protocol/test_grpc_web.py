"""What gRPC-Web alone says: content types, trailers, compression, deadlines."""

from __future__ import annotations

import base64

import pytest

from tests.gateway.asgi.client import call
from tests.gateway.protocol.backend import SERVICE
from tests.gateway.protocol.speech import WebSpeech, envelope, envelopes

SAY = f"/{SERVICE}/Say"
WEB = WebSpeech("proto")


async def post(app, body, *headers, path=SAY, content_type="application/grpc-web", **options):
    return await call(app, "POST", path, body, headers=[("content-type", content_type), *headers], **options)


async def test_trailers_are_the_last_envelope_as_a_headers_block(app, backend):
    response = await post(app, envelope(backend.request(text="hi")))

    (_, message), (flag, trailers) = envelopes(response.body)
    assert "hi" == backend.read(message).text
    assert (0x80, b"grpc-status: 0\r\nx-trail: last\r\nx-trail-bin: /w\r\n") == (flag, trailers)


async def test_a_failure_before_messages_is_trailers_only(app, backend):
    response = await post(app, envelope(backend.request(text="50 % ü", code=7)))

    assert (200, b"") == (response.status, response.body)
    assert ("7", "50 %25 %C3%BC") == (response.headers["grpc-status"], response.headers["grpc-message"])


# PROTOCOL-WEB.md: 'The client library should indicate to the server via the "Accept" header that the response stream needs
# to be text encoded'; without one the answer is as the request.
@pytest.mark.parametrize(
    ("sent", "accept", "answered"),
    [
        ("application/grpc-web", None, "application/grpc-web+proto"),
        ("application/grpc-web+proto", "*/*", "application/grpc-web+proto"),
        ("application/grpc-web", "application/grpc-web-text", "application/grpc-web-text+proto"),
        ("application/grpc-web-text", None, "application/grpc-web-text+proto"),
        ("application/grpc-web-text", "application/grpc-web-text", "application/grpc-web-text+proto"),
        ("application/grpc-web-text", "application/grpc-web", "application/grpc-web+proto"),
        ("Application/GRPC-Web+Proto; charset=utf-8", None, "application/grpc-web+proto"),
    ],
)
async def test_the_answers_type_is_the_requests_unless_accept_says_otherwise(
    app, backend, sent, accept, answered
):
    body = envelope(backend.request(text="hi"))
    if "text" in sent:
        body = base64.b64encode(body)

    headers = [] if accept is None else [("accept", accept)]
    response = await post(app, body, *headers, content_type=sent)

    assert answered == response.headers["content-type"]
    data = response.body if "text" not in answered else base64.b64decode(response.body)
    assert "hi" == backend.read(next(envelopes(data))[1]).text


@pytest.mark.parametrize(
    ("body", "headers", "code", "message"),
    [
        # gRPC's statuscodes.md: a unary request of no or several messages.
        (b"", [], "UNIMPLEMENTED", "0 messages were sent, and this method takes one"),
        (envelope(b"") * 2, [], "UNIMPLEMENTED", "2 messages were sent"),
        (envelope(b"")[:3], [], "INVALID_ARGUMENT", "the body ends within a message"),
        (envelope(b"", 0x80), [], "INVALID_ARGUMENT", "flags 0x80 before a message"),
        # gRPC's compression.md: "a message [...] compressed [...] without grpc-encoding: INTERNAL".
        (envelope(b"x", 1), [], "INTERNAL", "header grpc-encoding does not say how"),
        (envelope(b""), [("grpc-encoding", "lzma")], "UNIMPLEMENTED", "only identity, gzip, br, zstd"),
        (envelope(b""), [("grpc-timeout", "soon")], "INVALID_ARGUMENT", "header grpc-timeout"),
        (envelope(b""), [("content-encoding", "lzma")], "INVALID_ARGUMENT", "content encoding"),
    ],
)
async def test_what_is_wrong_is_said_in_trailers(app, backend, body, headers, code, message):
    told = WEB.read(backend, "Say", await _as_proto(app, body, headers))

    assert (code, []) == (told.code, told.messages)
    assert message in told.message


async def _as_proto(app, body, headers):
    return await post(app, body, *headers, content_type="application/grpc-web+proto")


async def test_a_base64_text_that_is_none_is_refused(app, backend):
    response = await post(app, b"!!!!", content_type="application/grpc-web-text")

    assert "3" == response.headers["grpc-status"]
    assert "base64" in response.headers["grpc-message"]


async def test_an_empty_message_marked_as_compressed_is_not_unpacked(app, backend):
    told = WEB.read(backend, "Say", await _as_proto(app, envelope(b"", 1), [("grpc-encoding", "gzip")]))

    assert ("OK", "") == (told.code, told.messages[0].text)


@pytest.mark.parametrize(
    ("accept", "used"),
    [("gzip", "gzip"), ("identity,br", "br"), ("zstd, gzip", "zstd"), ("identity", None), ("lzma", None)],
)
async def test_messages_are_compressed_as_the_client_likes_best(app, backend, accept, used):
    response = await post(app, envelope(backend.request(text="x" * 500)), ("grpc-accept-encoding", accept))

    flags, data = next(envelopes(response.body))
    assert (used is not None, used) == (flags == 1, response.headers.get("grpc-encoding"))
    assert used is None or len(data) < 400
    assert "gzip,br,zstd" == response.headers["grpc-accept-encoding"]


async def test_the_whole_is_not_compressed_once_more(app, backend):
    body = b'{"text": "' + b"x" * 500 + b'"}'

    response = await post(
        app, envelope(body), ("accept-encoding", "gzip"), content_type="application/grpc-web+json"
    )

    assert "content-encoding" not in response.headers


async def test_a_body_may_be_compressed_as_a_whole(app, backend):
    """PROTOCOL-WEB.md: "Full-body compression is supported and expected for all unary requests"."""
    import gzip

    packed = gzip.compress(envelope(backend.request(text="hi")))
    told = WEB.read(backend, "Say", await _as_proto(app, packed, [("content-encoding", "gzip")]))

    assert "hi" == told.messages[0].text


async def test_the_details_message_says_no_more_than_the_message(make, backend):
    """Clients read the text in grpc-status-details-bin: addresses are not to be found there either."""
    app = await make()
    await backend.stop()

    told = WEB.read(backend, "Say", await _as_proto(app, envelope(b""), [("grpc-timeout", "2S")]))

    assert "UNAVAILABLE" == told.code
    assert "127.0.0.1" not in told.message
