"""HTTP/2 frame by frame: requests that are malformed, and floods that must stay bounded."""

from __future__ import annotations

import json
import pathlib
import socket
from collections.abc import Iterator
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import pytest

from tests.gateway.server.process import GatewayProcess, get

pytestmark = pytest.mark.slow

Fields = list[tuple[str, str]]
BOOK: Fields = [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", "/v1/books/one")]
POST: Fields = [(":method", "POST"), *BOOK[1:3], (":path", "/v1/books"), ("content-type", "application/json")]


def without(name: str) -> Fields:
    return [field for field in BOOK if field[0] != name]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, backend_address, descriptors) -> Iterator[GatewayProcess]:
    file = tmp_path_factory.mktemp("raw2") / "mesh.yaml"
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


class Client:
    """A connection that sends what it is told to, malformed or not."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        config = h2.config.H2Configuration(
            validate_outbound_headers=False, normalize_outbound_headers=False, header_encoding="latin-1"
        )
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def ask(self, fields: Fields, body: bytes | None = None, *, end: bool = True) -> Any:
        """Send one request; return status and body, or the error the stream or connection ended with."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, fields, end_stream=end and body is None)
        if body is not None:
            self.h2.send_data(stream, body, end_stream=end)
        self.flush()
        status, received = 0, b""
        while True:
            data = self.socket.recv(65536)
            assert data, "closed without a word"
            for event in self.h2.receive_data(data):
                if getattr(event, "stream_id", stream) != stream:
                    # A stream that was answered before its end is reset without an error: RFC 9113, 8.1.
                    continue
                if isinstance(event, h2.events.ResponseReceived):
                    status = int(dict(event.headers)[":status"])
                elif isinstance(event, h2.events.DataReceived):
                    received += event.data
                elif isinstance(event, h2.events.StreamEnded):
                    return status, received
                elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                    return (status, received) if status else event.error_code

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def client(gateway) -> Iterator[Client]:
    client = Client(gateway.port)
    yield client
    client.close()


def test_a_request(client):
    status, body = client.ask(BOOK)
    assert (status, json.loads(body)["id"]) == (200, "one")
    status, body = client.ask(POST, b'{"id": "new"}')
    assert (status, json.loads(body)["id"]) == (200, "new")


# rule, fields
MALFORMED = [
    ("RFC 9113, 8.3.1: :path is required", without(":path")),
    ("RFC 9113, 8.3.1: :path is not empty", [*without(":path"), (":path", "")]),
    ("RFC 9113, 8.3.1: :path begins with a slash", [*without(":path"), (":path", "v1/books/one")]),
    ("RFC 9113, 8.3: one :path", [*BOOK, (":path", "/v1/books/two")]),
    ("RFC 9113, 8.3: pseudo-headers come first", [*BOOK[:3], ("a", "b"), BOOK[3]]),
    ("RFC 9113, 8.2.2: no connection", [*BOOK, ("connection", "close")]),
    ("RFC 9113, 8.2.2: no transfer-encoding", [*BOOK, ("transfer-encoding", "chunked")]),
    ("RFC 9113, 8.2.2: te has trailers only", [*BOOK, ("te", "gzip")]),
    ("RFC 9113, 8.2: names are in lower case", [*BOOK, ("X-One", "1")]),
    ("RFC 9113, 8.2.1: no line breaks", [*BOOK, ("a", "b\r\nc: d")]),
]


@pytest.mark.parametrize("fields", [row[1] for row in MALFORMED], ids=[row[0] for row in MALFORMED])
def test_malformed_requests_are_stream_errors(client, fields):
    assert client.ask(fields) is h2.errors.ErrorCodes.PROTOCOL_ERROR


def test_a_length_that_is_not_the_bodys(client):
    # RFC 9113, 8.1.1: "A request or response is also malformed if the value of a content-length header field does not
    # equal the sum of the DATA frame payload lengths".
    error = client.ask([*POST, ("content-length", "5")], b"{}")
    assert error is h2.errors.ErrorCodes.PROTOCOL_ERROR


# rule, fields, status
REFUSED = [
    ("an authority with user information", [*without(":authority"), (":authority", "u:p@x")], 400),
    ("two hosts", [*without(":authority"), ("host", "x"), ("host", "y")], 400),
    ("dot segments", [*without(":path"), (":path", "/v1/../v1/books/one")], 400),
    ("a long target", [*without(":path"), (":path", "/v1/books/" + "a" * 9000)], 414),
    ("* is for OPTIONS", [*without(":path"), (":path", "*")], 400),
    ("at most 100 headers", [*BOOK, *[(f"a{number}", "b") for number in range(150)]], 431),
    ("at most 96 KiB of headers", [*BOOK, *[(f"a{number}", "b" * 4000) for number in range(30)]], 431),
]


@pytest.mark.parametrize(("fields", "status"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_refused(client, fields, status):
    assert client.ask(fields)[0] == status
    assert client.ask(BOOK)[0] == 200, "the connection serves on"


def test_bodies_that_are_late_or_too_large(client):
    assert client.ask(POST, b"{", end=False)[0] == 408
    assert client.ask(POST, b" " * 1001)[0] == 413
    assert client.ask(BOOK)[0] == 200


def test_rapid_resets_end_the_connection_and_nothing_else(gateway):
    # CVE-2023-44487. At most 2,000 streams, 50 in a packet.
    client = Client(gateway.port)
    fields = [*without(":path"), (":path", "/v1/books/held")]
    told = None
    try:
        for number in range(2000):
            stream = 2 * number + 1
            client.h2.send_headers(stream, fields, end_stream=True)
            client.h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
            if number % 50 == 49:
                client.flush()
        while data := client.socket.recv(65536):
            for event in client.h2.receive_data(data):
                if isinstance(event, h2.events.ConnectionTerminated):
                    told = event.error_code
    except (OSError, h2.exceptions.ProtocolError):
        told = told or h2.errors.ErrorCodes.ENHANCE_YOUR_CALM
    client.close()
    assert told is h2.errors.ErrorCodes.ENHANCE_YOUR_CALM
    assert get(gateway.port, "/v1/books/one")[0] == 200


def memory(process: GatewayProcess) -> int:
    pages = int(pathlib.Path(f"/proc/{process.process.pid}/statm").read_text().split()[1])
    return pages * 4096


def test_a_flood_of_continuations_is_bounded(gateway):
    # CVE-2024-27316: headers that never end. 8 MiB at most are sent.
    client = Client(gateway.port)
    before = memory(gateway)
    frame = (16384).to_bytes(3, "big") + b"%c\x00" + (1).to_bytes(4, "big")
    # A literal header field without indexing, of one name and a long value, over and over: RFC 7541, 6.2.2.
    field = b"\x00\x01a\x7f\xe1\x1f" + b"b" * 4192
    block = (field * 5)[:16384]
    try:
        client.socket.sendall(frame % 1 + block)
        for _ in range(511):
            client.socket.sendall(frame % 9 + block)
        client.socket.settimeout(2)
        while client.socket.recv(65536):
            pass
    except OSError:
        pass
    client.close()
    assert memory(gateway) - before < 4 * 1024 * 1024
    assert get(gateway.port, "/v1/books/one")[0] == 200


def test_streams_at_once_are_bounded(client):
    client.ask(BOOK)
    assert client.h2.remote_settings.max_concurrent_streams <= 200


def test_settings_and_pings_in_masses_are_answered(client):
    for _ in range(500):
        client.h2.ping(b"12345678")
    client.flush()
    assert client.ask(BOOK)[0] == 200
