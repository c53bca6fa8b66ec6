"""What streams are told when the gateway stops before they end: no framing can take it for the end."""

from __future__ import annotations

import json
import time

import grpc
import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.gateway.server.process import Connection, until

pytestmark = pytest.mark.slow

PATH = "/v1/books?count=1&fail_with=hang"
TOLD = {"code": 14, "message": "the gateway is stopping", "details": []}


@pytest.fixture
def gateway(start, environment):
    return start("gateway", "--config", environment(stop_timeout="0.3s", grpc_listen="127.0.0.1:0"))


@pytest.mark.parametrize(
    ("accept", "marker"), [("application/x-ndjson", '{"error":'), ("text/event-stream", "event: error")]
)
def test_a_stream_over_http_ends_with_an_error(gateway, accept, marker):
    url = f"http://127.0.0.1:{gateway.port}{PATH}"
    with httpx.stream("GET", url, headers={"accept": accept}, timeout=20) as response:
        lines = response.iter_lines()
        first = next(lines)
        gateway.signal()
        rest = [line for line in lines if line]
    assert first
    assert any(line.startswith(marker) for line in rest)
    last = json.loads(rest[-1].removeprefix("data: "))
    assert last.get("error", last) == TOLD
    assert gateway.end() == 0


def test_a_json_array_is_left_open_and_the_connection_broken(gateway):
    head = f"GET {PATH} HTTP/1.1\r\nhost: x\r\naccept: application/json\r\n\r\n"
    connection = Connection(gateway.port, head.encode())
    time.sleep(0.3)
    gateway.signal()
    received = connection.read_all()
    assert b'[{"id"' in received
    assert not received.endswith(b"0\r\n\r\n")
    assert gateway.end() == 0


def test_a_websocket_is_told_that_its_end_goes_away(gateway):
    with connect(f"ws://127.0.0.1:{gateway.port}{PATH}") as socket:
        assert json.loads(socket.recv(10))["result"]["id"] == "0"
        gateway.signal()
        assert json.loads(socket.recv(10)) == {"error": TOLD}
        with pytest.raises(ConnectionClosed) as info:
            socket.recv(10)
    assert info.value.rcvd is not None
    assert (info.value.rcvd.code, info.value.rcvd.reason) == (1001, "the gateway is stopping")
    assert gateway.end() == 0


def test_a_grpc_stream_fails(gateway):
    with grpc.insecure_channel(gateway.place("gRPC")) as channel:
        # count = 1, fail_with = "hang"
        call = channel.unary_stream("/library.v1.LibraryService/ListBooks")(
            b"\x08\x01\x12\x04hang", timeout=20
        )
        assert next(call)
        gateway.signal()
        with pytest.raises(grpc.RpcError):
            next(call)
    assert gateway.end() == 0
    until(lambda: any(line["protocol"] == "grpc" for line in gateway.log))
