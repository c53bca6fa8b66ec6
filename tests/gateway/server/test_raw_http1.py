"""HTTP/1.1 over a raw socket: what the framing, the head and the pace of a request may be. Each row names its rule."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from typing import Self

import pytest

from gateway.http_server import HttpServer
from tests.gateway.server.process import Connection, GatewayProcess, parse

pytestmark = pytest.mark.slow

HOST = b"host: x\r\n"
JSON = b"content-type: application/json\r\n"
CHUNKED = HOST + JSON + b"transfer-encoding: chunked\r\n"
BOOK = b"GET /v1/books/one HTTP/1.1\r\n" + HOST
POST = b"POST /v1/books HTTP/1.1\r\n"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, backend_address, descriptors) -> Iterator[GatewayProcess]:
    file = tmp_path_factory.mktemp("raw") / "mesh.yaml"
    file.write_text(
        f"services:\n  - name: library\n    serves: [library.v1.LibraryService]\n"
        f'    endpoints: ["{backend_address}"]\n'
        f"descriptors: [{descriptors}]\n"
        "gateway:\n  listen: 127.0.0.1:0\n  body_timeout: 0.4s\n  max_body_bytes: 1000\n  max_target_bytes: 256\n"
        "  trusted_proxies: [127.0.0.0/8]\n  method_override: true\n"
        "  cors:\n    allow_origins: ['https://shop.example']\n"
    )
    process = GatewayProcess("gateway", "--config", str(file))
    assert process.port
    yield process
    process.signal()
    assert process.end() == 0
    process.stop()


def ask(gateway: GatewayProcess, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send a request that asks for the connection's end; return the first answer."""
    return parse(Connection(gateway.port, sent).read_all())


END = b"connection: close\r\n\r\n"

# rule, request, status; 400 in our own words
REFUSED = [
    ("RFC 9112, 3.2: Host is required", b"GET /v1/books/one HTTP/1.1\r\n" + END, 400),
    ("RFC 9112, 3.2: an empty Host is none", b"GET /v1/books/one HTTP/1.1\r\nhost:\r\n" + END, 400),
    ("RFC 9112, 3.2: one Host", BOOK + b"host: y\r\n" + END, 400),
    ("RFC 9112, 3.2: Host is a host", b"GET /v1/books/one HTTP/1.1\r\nhost: a/b\r\n" + END, 400),
    ("RFC 9112, 3.2.3: authority-form is for CONNECT", b"GET foo:80 HTTP/1.1\r\n" + HOST + END, 400),
    ("RFC 9112, 3.2.4: asterisk-form is for OPTIONS", b"GET * HTTP/1.1\r\n" + HOST + END, 400),
    ("dot segments", b"GET /v1/books/../books/one HTTP/1.1\r\n" + HOST + END, 400),
    ("encoded dot segments", b"GET /v1/books/%2e%2e/books/one HTTP/1.1\r\n" + HOST + END, 400),
    ("a backslash", b"GET /v1\\books HTTP/1.1\r\n" + HOST + END, 400),
    ("an encoded NUL", b"GET /v1/books/a%00b HTTP/1.1\r\n" + HOST + END, 400),
    ("max_target_bytes", b"GET /v1/books/" + b"a" * 300 + b" HTTP/1.1\r\n" + HOST + END, 414),
    ("max_target_bytes, the query", b"GET /v1/books?count=" + b"1" * 300 + b" HTTP/1.1\r\n" + HOST + END, 414),
    ("max_body_bytes, announced", POST + HOST + JSON + b"content-length: 1001\r\n" + END, 413),
    ("RFC 9112, 6.1: an unknown coding before chunked", POST + HOST + b"transfer-encoding: gzip, chunked\r\n" + END
     + b"0\r\n\r\n", 501),
    ("RFC 9112, 6.1: chunked twice", POST + CHUNKED + b"transfer-encoding: chunked\r\n" + END + b"0\r\n\r\n", 501),
    ("RFC 9112, 7.1: a chunk ends with CRLF", POST + CHUNKED + END + b"2\n{}\n0\n\n", 400),
    ("RFC 9112, 7.1: a size is hexadecimal", POST + CHUNKED + END + b"0x2\r\n{}\r\n0\r\n\r\n", 400),
    ("RFC 9112, 7.1: a size has no sign", POST + CHUNKED + END + b"-2\r\n{}\r\n0\r\n\r\n", 400),
    ("RFC 9112, 7.1: a chunk is as long as it says", POST + CHUNKED + END + b"1\r\n{}\r\n0\r\n\r\n", 400),
    ("RFC 9112, 8: a body that breaks off", POST + CHUNKED + END + b"2\r\n{}\r\n0\r\n", 408),
    ("an override of what is no POST", BOOK + b"x-http-method-override: DELETE\r\n" + END, 400),
    ("the proxy contradicts itself", BOOK + b"x-forwarded-for: 192.0.2.1\r\nforwarded: for=192.0.2.2\r\n" + END, 400),
    ("a header the connection may not have", BOOK + b"connection: x-forwarded-for\r\n" + END, 400),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "status"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_refused_in_the_gateways_words(gateway, sent, status):
    answered, headers, body = ask(gateway, sent)
    assert answered == status
    assert json.loads(body)["message"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-request-id"]


# What hyper refuses before there is a request: a status, no body, and the connection's end.
UNREADABLE = [
    (
        "RFC 9112, 6.3: lengths that differ",
        POST + HOST + b"content-length: 2\r\ncontent-length: 3\r\n\r\nab",
        400,
    ),
    ("RFC 9112, 6.3: a list of lengths", POST + HOST + b"content-length: 2, 2\r\n\r\nab", 400),
    ("RFC 9110, 8.6: a length is digits", POST + HOST + b"content-length: +2\r\n\r\nab", 400),
    ("RFC 9110, 8.6: no length is none", POST + HOST + b"content-length:\r\n\r\n", 400),
    ("RFC 9112, 6.1: chunked is last", POST + HOST + b"transfer-encoding: chunked, gzip\r\n\r\n", 400),
    (
        "RFC 9112, 6.1: HTTP/1.0 has no codings",
        b"POST /v1/books HTTP/1.0\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("RFC 9110, 5.5: no NUL in a value", BOOK + b"a: b\x00c\r\n\r\n", 400),
    ("RFC 9110, 5.5: no CR in a value", BOOK + b"a: b\rc\r\n\r\n", 400),
    ("RFC 9110, 5.1: a header has a name", BOOK + b": v\r\n\r\n", 400),
    ("RFC 9112, 5.1: no space before the colon", BOOK + b"a : v\r\n\r\n", 400),
    ("RFC 9112, 5.2: no folded line", BOOK + b"a: b\r\n c\r\n\r\n", 400),
    ("RFC 9112, 3: one space", b"GET /v1/books/a b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("RFC 9112, 3: no NUL in a target", b"GET /v1/books/a\x00 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("RFC 9112, 3: a target", b"GET  HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("RFC 9110, 9.1: a method is a token", b"G(T / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("RFC 9112, 2.3: a version", b"GET / HTTP/1.9\r\n" + HOST + b"\r\n", 400),
    ("no HTTP/0.9", b"GET /v1/books/one\r\n", 400),
    ("at most 100 headers", BOOK + b"".join(b"a%d: b\r\n" % n for n in range(150)) + b"\r\n", 431),
    (
        "at most 96 KiB of headers, and what one read brings",
        BOOK + b"a: " + b"b" * 400_000 + b"\r\n\r\n",
        431,
    ),
    ("a target of 64 KiB and more", b"GET /" + b"a" * 110_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
]


@pytest.mark.parametrize(
    ("sent", "status"), [row[1:] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE]
)
def test_what_the_server_cannot_read_ends_the_connection(gateway, sent, status):
    answered, headers, body = ask(gateway, sent)
    assert (answered, headers["connection"], body) == (status, "close", b"")


# rule, request, body of the answer
ANSWERED = [
    ("RFC 9112, 3.2.2: absolute-form MUST be accepted", b"GET http://x/v1/books/one HTTP/1.1\r\n" + HOST + END),
    ("RFC 9112, 2.2: empty lines before a request", b"\r\n\r\n" + BOOK + END),
    ("RFC 9112, 2.2: a lone LF ends a line", b"GET /v1/books/one HTTP/1.1\nhost: x\nconnection: close\n\n"),
    ("RFC 9112, 6.3: one length said twice is one", BOOK + b"content-length: 0\r\ncontent-length: 0\r\n" + END),
    ("HTTP/1.0 needs no Host", b"GET /v1/books/one HTTP/1.0\r\n\r\n"),
    ("RFC 9112, 3.2: what is behind # never arrives", b"GET /v1/books/one#two HTTP/1.1\r\n" + HOST + END),
    ("RFC 9110, 7.8: an upgrade is the server's to ignore",
     BOOK + b"upgrade: h2c\r\nhttp2-settings: AAMAAABk\r\nconnection: upgrade, http2-settings, close\r\n\r\n"),
    ("96 headers", BOOK + b"".join(b"a%d: b\r\n" % number for number in range(96)) + END),
]  # fmt: skip


@pytest.mark.parametrize("sent", [row[1] for row in ANSWERED], ids=[row[0] for row in ANSWERED])
def test_what_is_answered(gateway, sent):
    status, _, body = ask(gateway, sent)
    assert (status, json.loads(body)["id"]) == (200, "one")


def test_server_wide_options(gateway):
    status, headers, body = ask(gateway, b"OPTIONS * HTTP/1.1\r\n" + HOST + END)
    # RFC 9110, 8.6: "A server MUST NOT send a Content-Length header field in any response with a status code of [...] 204".
    assert (status, body, "content-length" in headers) == (204, b"", False)


def test_a_preflight_request(gateway):
    asked = b"origin: https://shop.example\r\naccess-control-request-method: PUT\r\n"
    status, headers, _ = ask(gateway, b"OPTIONS /v1/books/one HTTP/1.1\r\n" + HOST + asked + END)
    assert (status, headers["access-control-allow-origin"]) == (204, "https://shop.example")
    assert headers["access-control-allow-methods"] == "get, head, options, put"


def test_the_log_has_the_client_that_the_proxy_names(gateway):
    ask(gateway, BOOK + b"x-forwarded-for: 198.51.100.7\r\nx-request-id: proxied\r\n" + END)
    line = gateway.wait_for(lambda: next((entry for entry in gateway.log if entry["id"] == "proxied"), None))
    assert line["client"] == "198.51.100.7"


def test_trailers_of_a_request_say_nothing(gateway):
    # RFC 9110, 6.5.1: "a recipient MUST NOT" merge trailers into headers unless their definition permits it.
    trailers = b"0\r\ncontent-length: 9\r\nx-request-id: smuggled\r\n\r\n"
    status, headers, body = ask(
        gateway, POST + CHUNKED + END + b'c\r\n{"id": "new"}'[:3] + b'{"id": "new"}\r\n' + trailers
    )
    assert status == 400  # the chunk says 12 and has 13
    status, headers, body = ask(gateway, POST + CHUNKED + END + b'd\r\n{"id": "new"}\r\n' + trailers)
    assert (status, json.loads(body)["id"]) == (200, "new")
    assert headers["x-request-id"] != "smuggled"


def test_chunk_extensions_are_ignored(gateway):
    # RFC 9112, 7.1.1: "A recipient MUST ignore unrecognized chunk extensions."
    status, _, body = ask(gateway, POST + CHUNKED + END + b'd;a="b"\r\n{"id": "new"}\r\n0;c\r\n\r\n')
    assert (status, json.loads(body)["id"]) == (200, "new")


def test_a_client_that_expects_is_told_to_continue(gateway):
    head = POST + HOST + JSON + b"content-length: 13\r\nexpect: 100-continue\r\n"
    connection = Connection(gateway.port, head + END)
    assert connection.socket.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.socket.sendall(b'{"id": "new"}')
    assert parse(connection.read_all())[0] == 200


def test_a_client_that_expects_is_refused_before_it_sends(gateway):
    # RFC 9110, 10.1.1: "immediately respond with the appropriate final status code".
    for head, status in (
        (POST + HOST + JSON + b"content-length: 5000\r\nexpect: 100-continue\r\n\r\n", 413),
        (b"POST /v1/nothing HTTP/1.1\r\n" + HOST + b"content-length: 5\r\nexpect: 100-continue\r\n\r\n", 404),
    ):
        assert Connection(gateway.port, head).read_answer()[0] == status


def test_pipelined_requests_are_answered_in_order(gateway):
    one = b"GET /v1/books/%b HTTP/1.1\r\nhost: x\r\n"
    connection = Connection(gateway.port, one % b"a" + b"\r\n" + one % b"b" + b"\r\n" + one % b"c" + END)
    received = connection.read_all()
    answers = [
        json.loads(piece.partition(b"\r\n\r\n")[2])["id"] for piece in received.split(b"HTTP/1.1 200 OK")[1:]
    ]
    assert answers == ["a", "b", "c"]


def test_nothing_hides_behind_a_request_that_is_refused(gateway):
    hidden = b"GET /v1/books/hidden HTTP/1.1\r\nhost: x\r\n\r\n"
    for head in (
        POST + HOST + JSON + b"content-length: %d\r\n\r\n" % (1001 + len(hidden)),
        POST + CHUNKED + b"\r\n" + b"zz\r\n",
        POST + HOST + b"host: y\r\ncontent-length: %d\r\n\r\n" % len(hidden),
        POST + CHUNKED + b"content-length: 5\r\n\r\n0\r\n\r\n",
    ):
        received = Connection(gateway.port, head + hidden).read_all()
        assert received.count(b"HTTP/1.1 ") == 1, received
        assert b'"hidden"' not in received


class Served:
    """The HTTP server of the gateway with a short idle time, in front of an application that is none."""

    async def __aenter__(self) -> Self:
        self._held = socket.create_server(("127.0.0.1", 0))
        self.port = self._held.getsockname()[1]
        self._server = HttpServer(self._answer, self._held, idle=0.4)
        self._serving = asyncio.ensure_future(self._server.serve())
        await asyncio.sleep(0.1)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.stop()
        await self._serving
        self._held.close()

    @staticmethod
    async def _answer(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


SLOW = [
    ("a head that does not end", [b"GET / HTTP/1.1\r\nhost:"], 400),
    ("a head that drips", [b"GET / HTTP/1.1\r\n", *[b"a: b\r\n"] * 30], 400),
    ("a first byte", [b"G"], 400),
    ("nothing after an answer", [b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"], 204),
    ("a first byte after an answer", [b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"", b"G"], 204),
]


@pytest.mark.parametrize("pieces", [row[1] for row in SLOW], ids=[row[0] for row in SLOW])
async def test_slow_heads_end_the_connection(pieces):
    def drip(port: int) -> float:
        began = time.monotonic()
        connection = Connection(port, pieces[0])
        try:
            for piece in pieces[1:]:
                time.sleep(0.05)
                connection.socket.sendall(piece)
        except OSError:
            pass
        connection.read_all()
        return time.monotonic() - began

    async with Served() as served:
        assert 0.3 < await asyncio.to_thread(drip, served.port) < 5.0
