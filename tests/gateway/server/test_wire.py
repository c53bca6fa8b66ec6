"""What reaches the gateway over a real socket: hostile framing, slow bodies, clients that go away."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.gateway.server.process import Connection, GatewayProcess, get, parse

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, backend_address, descriptors) -> Iterator[GatewayProcess]:
    file = tmp_path_factory.mktemp("wire") / "mesh.yaml"
    file.write_text(
        f"services:\n  - name: library\n    serves: [library.v1.LibraryService]\n"
        f'    endpoints: ["{backend_address}"]\n'
        f"descriptors: [{descriptors}]\n"
        "gateway:\n  listen: 127.0.0.1:0\n  body_timeout: 0.4s\n  max_body_bytes: 1000\n"
    )
    process = GatewayProcess("gateway", "--config", str(file))
    assert process.port
    yield process
    process.signal()
    assert process.end() == 0
    process.stop()


def test_a_request(gateway):
    status, headers, body = get(gateway.port, "/v1/books/a%2Fb")
    assert (status, json.loads(body)["id"]) == (200, "a/b")
    assert headers["content-type"] == "application/json"


def test_http_2_without_tls(gateway):
    with httpx.Client(http1=False, http2=True) as client:
        response = client.get(f"http://127.0.0.1:{gateway.port}/v1/books/one")
        assert (response.http_version, response.json()["id"]) == ("HTTP/2", "one")
        created = client.post(f"http://127.0.0.1:{gateway.port}/v1/books", json={"id": "new"})
        assert created.json() == {"id": "new"}


def test_a_stream_over_the_wire(gateway):
    with httpx.Client() as client:
        response = client.get(f"http://127.0.0.1:{gateway.port}/v1/books?count=2&fail_with=ABORTED")
    assert [json.loads(line) for line in response.text.splitlines()][-1]["error"]["code"] == 10


def test_raw_bytes_that_break_off_end_the_connection(gateway):
    connection = Connection(gateway.port, b"GET /v1/books/torn:read HTTP/1.1\r\nhost: x\r\n\r\n")
    received = connection.read_all()
    assert b"once upon" in received
    assert not received.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("body", [b"", b'{"id": "x"'], ids=["silent", "begun"])
def test_a_body_that_never_comes_is_refused_and_the_connection_closed(gateway, body):
    head = (
        b"POST /v1/books HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n"
    )
    status, _, answer = parse(Connection(gateway.port, head + body).read_all())
    assert (status, json.loads(answer)["code"]) == (408, 4)


def test_a_dripping_body_is_refused(gateway):
    head = b"POST /v1/books HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    connection = Connection(gateway.port, head)
    connection.socket.settimeout(0.05)
    answer = b""
    for _ in range(100):
        try:
            connection.socket.sendall(b"1\r\n \r\n")
            answer += connection.socket.recv(65536)
        except TimeoutError:
            continue
        except OSError:
            break
        if answer:
            break
    assert parse(answer)[0] == 408


def test_too_large_a_body_is_refused(gateway):
    head = b"POST /v1/books HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    announced = Connection(gateway.port, head + b"content-length: 1001\r\n\r\n").read_all()
    assert parse(announced)[0] == 413
    chunked = Connection(
        gateway.port,
        head + b"transfer-encoding: chunked\r\n\r\n" + b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n",
    )
    assert chunked.read_answer()[0] == 413


HOSTILE = {
    "lengths that differ": b"host: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n",
    "no host": b"",
    "two hosts": b"host: x\r\nhost: y\r\n",
    "a signed length": b"host: x\r\ncontent-length: +2\r\n",
    "an unknown coding": b"host: x\r\ntransfer-encoding: xchunked\r\n",
    "a folded header": b"host: x\r\na: b\r\n c\r\n",
    "a space before the colon": b"host: x\r\ncontent-length : 2\r\n",
}


@pytest.mark.parametrize("headers", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_framing_is_refused(gateway, headers):
    connection = Connection(
        gateway.port, b"GET /v1/books/one HTTP/1.1\r\n" + headers + b"connection: close\r\n\r\n{}"
    )
    assert parse(connection.read_all())[0] == 400


@pytest.mark.parametrize("chunk", [b"zz\r\n{}\r\n0\r\n\r\n", b"f" * 18 + b"\r\n{}\r\n0\r\n\r\n"])
def test_a_chunk_of_no_size_is_refused(gateway, chunk):
    head = b"POST /v1/books HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    status, _, answer = parse(Connection(gateway.port, head + chunk).read_all())
    assert (status, json.loads(answer)["code"]) == (400, 3)


def test_a_second_request_cannot_hide_behind_a_length_beside_a_coding(gateway):
    hidden = b"GET /v1/books/hidden HTTP/1.1\r\nhost: x\r\n\r\n"
    head = b"POST /v1/books HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n"
    # RFC 9112, 6.1: "the server MUST close the connection after responding to such a request". read_all would not
    # return otherwise.
    assert b"hidden" not in Connection(gateway.port, head + b"0\r\n\r\n" + hidden).read_all()


def test_a_client_that_goes_away_ends_the_call(gateway):
    connection = Connection(
        gateway.port, b"GET /v1/books/held HTTP/1.1\r\nhost: x\r\nx-request-id: leaver\r\n\r\n"
    )
    connection.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        connection.socket.recv(1)
    connection.socket.close()
    line = gateway.wait_for(lambda: next((entry for entry in gateway.log if entry["id"] == "leaver"), None))
    assert (line["status"], line["code"]) == (499, "CANCELLED")
    assert line["seconds"] < 2.0
