"""Which headers reach the backend, and which of its metadata comes back."""

from __future__ import annotations

import base64

import pytest

from gateway.edge.header import RequestHeaders, ResponseHeaders, matcher, metadata_value
from gateway.problem import RequestProblem
from tests.gateway.asgi.client import call

ECHO = "/library.v1.LibraryService/Echo"


async def seen(app, *headers):
    response = await call(app, "POST", ECHO, {}, headers=list(headers))
    assert response.status == 200, response
    return response.json["entries"]


async def test_the_defaults_pass_and_others_do_not(app):
    entries = await seen(
        app, ("Authorization", "Bearer x"), ("accept-language", "de"), ("cookie", "a=b"), ("x-other", "1")
    )
    assert (entries["authorization"], entries["accept-language"]) == ("Bearer x", "de")
    assert not {"cookie", "x-other"} & set(entries)


async def test_a_prefix_passes_whatever_begins_with_it(make):
    entries = await seen(await make(forward_headers=("x-demo-*",)), ("x-demo-user", "ann"), ("x-dem", "1"))
    assert entries["x-demo-user"] == "ann"
    assert "x-dem" not in entries


@pytest.mark.parametrize(
    "name",
    [
        "connection",
        "te",
        "transfer-encoding",
        "grpc-timeout",
        "grpc-anything",
        "mesh-deadline",
        "traceparent",
        "host",
    ],
)
def test_some_never_pass_whatever_is_configured(name):
    assert not matcher(("*", name))(name)


async def test_bin_headers_are_base64(make):
    headers = RequestHeaders(("x-data-bin",))
    assert headers[b"x-data-bin"] == "x-data-bin"
    assert metadata_value("x-data-bin", b"AP8") == b"\x00\xff"
    assert metadata_value("x-data-bin", b"AP8=") == b"\x00\xff"
    response = await call(
        await make(forward_headers=("x-data-bin",)), "POST", ECHO, {}, headers=[("x-data-bin", "!")]
    )
    assert (response.status, response.json["message"]) == (
        400,
        "header x-data-bin: is not base64, as headers named -bin must be",
    )


async def test_more_than_a_service_takes_is_refused_before_it_is_sent(app):
    response = await call(app, "GET", "/v1/books/one", headers=[("authorization", "x" * 6000)])
    assert response.status == 200
    large = [("authorization", "x" * 6000), ("accept-language", "x" * 1200)]
    response = await call(app, "GET", "/v1/books/one", headers=large)
    assert (response.status, response.json["message"]) == (
        431,
        "the headers that are handed on come to 7292 bytes, and services take 7168",
    )


@pytest.mark.parametrize("value", [b"tab\there", b"\xc3\xa9", b"\x00"])
def test_metadata_carries_printable_ascii_only(value):
    with pytest.raises(RequestProblem, match="printable ASCII"):
        metadata_value("x-a", value)


async def test_a_request_id_is_made_returned_and_forwarded(app, backend):
    response = await call(app, "POST", ECHO, {})
    assert response.json["entries"]["x-request-id"] == response.headers["x-request-id"]
    again = await call(app, "POST", ECHO, {})
    assert again.headers["x-request-id"] != response.headers["x-request-id"]


async def test_a_given_request_id_is_kept_unless_it_is_odd(app):
    response = await call(app, "GET", "/v1/books/one", headers=[("x-request-id", "my-id")])
    assert response.headers["x-request-id"] == "my-id"
    for odd in ("", "x" * 200, "a\tb", "\xe9"):
        response = await call(app, "GET", "/v1/books/one", headers=[("x-request-id", odd)])
        assert response.status == 200
        assert response.headers["x-request-id"] != odd


async def test_returned_metadata_is_chosen_by_name(make):
    response = await call(await make(return_headers=("x-shelf", "x-read-bin")), "GET", "/v1/books/headers")
    assert (response.headers["x-shelf"], response.headers["x-read-bin"]) == ("7", "AP8")
    assert "x-secret" not in response.headers
    response = await call(await make(), "GET", "/v1/books/headers")
    assert "x-shelf" not in response.headers


def test_names_remembered_are_bounded():
    headers = RequestHeaders(())
    returned = ResponseHeaders(("x-*",))
    for number in range(3000):
        assert headers[b"n%d" % number] is None
        assert returned.read(((f"x-{number}", "v"),)) == [(b"x-%d" % number, b"v")]
    assert len(headers) <= 1024


def test_binary_metadata_comes_back_unpadded():
    assert ResponseHeaders(("x-*",)).read((("x-a-bin", b"\x00\xff"),)) == [
        (b"x-a-bin", base64.b64encode(b"\x00\xff").rstrip(b"="))
    ]
