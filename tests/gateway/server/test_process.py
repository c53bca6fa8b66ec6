"""How the packaged server starts, drains, replaces workers and ends: nothing fails, nothing is left behind."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time

import grpc
import pytest

from tests.gateway.server.process import Connection, alive, get, parse, until

pytestmark = pytest.mark.slow

SLOW = b"GET /v1/books/slow HTTP/1.1\r\nhost: x\r\n\r\n"
HELD = b"GET /v1/books/held HTTP/1.1\r\nhost: x\r\n\r\n"


def test_any_server_is_rest_in_one_command(start, backend_address):
    gateway = start(
        "mesh",
        "gateway",
        "--backend",
        backend_address,
        "--listen",
        "127.0.0.1:0",
        "--unknown-query",
        "ignore",
    )
    assert json.loads(get(gateway.port, "/v1/books/one?colour=red")[2])["id"] == "one"
    assert any("/v1/books/{id}" in line for line in gateway.lines)
    gateway.signal(signal.SIGINT)
    assert gateway.end() == 0
    assert gateway.log[0]["route"] == "/v1/books/{id}"


def test_a_stop_lets_requests_finish_and_takes_no_new_ones(start, environment):
    gateway = start("gateway", "--config", environment())
    port = gateway.port
    slow, idle = Connection(port, SLOW), Connection(port)
    time.sleep(0.2)
    gateway.signal()
    time.sleep(0.2)
    assert get(port, "/readyz")[0] == 503
    assert get(port, "/v1/books/one")[0] == 200
    status, _, body = slow.read_answer()
    assert (status, json.loads(body)["id"]) == (200, "slow")
    assert idle.read_all() == b""
    assert gateway.end() == 0
    with pytest.raises(ConnectionRefusedError):
        Connection(port)


def test_requests_beyond_the_stop_timeout_are_answered_all_the_same(start, environment):
    gateway = start("gateway", "--config", environment(stop_timeout="0.3s"))
    held = Connection(gateway.port, HELD)
    time.sleep(0.2)
    gateway.signal()
    status, _, body = parse(held.read_all())
    assert (status, json.loads(body)["message"]) == (503, "the gateway is stopping")
    assert gateway.end() == 0


def test_a_second_signal_does_not_wait(start, environment):
    gateway = start("gateway", "--config", environment())
    held = Connection(gateway.port, HELD)
    time.sleep(0.2)
    began = time.monotonic()
    gateway.signal()
    time.sleep(0.1)
    gateway.signal()
    assert parse(held.read_all())[0] == 503
    assert gateway.end() == 0
    assert time.monotonic() - began < 4.0


def test_no_request_fails_while_it_drains(start, environment):
    gateway = start("gateway", "--config", environment())
    port, answered, failed = gateway.port, [], []

    def load() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while True:
            fresh = connection.sock is None
            try:
                if fresh:
                    connection.connect()
            except ConnectionRefusedError:
                return
            try:
                connection.request("GET", "/v1/books/one")
                response = connection.getresponse()
                response.read()
                answered.append(response.status)
            except (OSError, http.client.HTTPException) as error:
                failed.append((fresh, error))
                return

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(answered) > 20)
    gateway.signal()
    for thread in threads:
        thread.join(20)
    assert gateway.end() == 0
    assert set(answered) == {200}
    # A connection that the kernel has accepted and the server has not is lost when the listener closes: none of these
    # requests had begun. Load balancers have turned away by then. A connection once served must not be lost.
    assert [error for fresh, error in failed if not (fresh and isinstance(error, ConnectionError))] == []


def test_an_edit_of_the_policies_reaches_a_running_gateway(start, environment):
    file = environment()
    gateway = start("gateway", "--config", file)
    assert get(gateway.port, "/v1/books/slow")[0] == 200
    with open(file, "a", encoding="utf-8") as mesh:
        mesh.write("policies: {defaults: {deadline: {max_timeout: 0.02s}}}\n")

    until(lambda: get(gateway.port, "/v1/books/slow")[0] == 504, seconds=5.0)

    gateway.signal()
    assert gateway.end() == 0


def test_workers_share_the_port_are_replaced_and_end_together(start, environment):
    gateway = start("gateway", "--config", environment(workers=2))
    port = gateway.port
    first, second = gateway.workers
    os.kill(first, signal.SIGKILL)
    gateway.wait_for(lambda: any("died" in line for line in gateway.lines))
    until(lambda: len(gateway.workers) == 2)
    until(lambda: get(port, "/readyz")[0] == 200)
    assert get(port, "/v1/books/one")[0] == 200
    workers = gateway.workers
    assert second in workers
    gateway.signal()
    assert gateway.end() == 0
    assert not any(alive(process) for process in (first, *workers))


def test_workers_do_not_outlive_a_supervisor_that_was_killed(start, environment):
    gateway = start("gateway", "--config", environment(workers=2))
    assert gateway.port
    workers = gateway.workers
    gateway.signal(signal.SIGKILL)
    until(lambda: not any(alive(process) for process in workers))


def test_composed_methods_are_served_over_grpc(start, environment):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    gateway = start("gateway", "--config", environment(grpc_listen=address, workers=2))
    assert gateway.port
    with grpc.insecure_channel(address) as channel:
        desk = channel.unary_unary("/library.v1.DeskService/GetDesk")(b"\n\x03one", timeout=5)
    assert b"Title of one-2" in desk
    # The composed service describes itself: a second gateway can be put in front of it.
    outer = start("mesh", "gateway", "--backend", address, "--listen", "127.0.0.1:0")
    assert json.loads(get(outer.port, "/v1/desks/one")[2])["sequel"]["id"] == "one-2"
    gateway.signal()
    assert gateway.end() == 0


WRONG = {
    "a port in use": "cannot listen on",
    "a backend that is down": "cannot be reached: no connection within 0.3 s",
    "descriptors that are none": "is not an encoded google.protobuf.FileDescriptorSet",
}


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_served_is_said_with_exit_code_2(start, backend_address, tmp_path, case, workers):
    rubbish = tmp_path / "rubbish"
    rubbish.write_bytes(b"\xff\xff")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        listen = f"127.0.0.1:{port if 'port' in case else 0}"
        if "down" in case:
            taken.close()
        backend = f"127.0.0.1:{port}" if "down" in case else backend_address
        more = ("--descriptors", str(rubbish)) if "descriptors" in case else ()
        gateway = start(
            "mesh",
            "gateway",
            "--backend",
            backend,
            "--listen",
            listen,
            "--timeout",
            "300ms",
            "--workers",
            workers,
            *more,
        )
        assert gateway.end() == 2
    assert any(WRONG[case] in line for line in gateway.lines)
    assert not any("Traceback" in line for line in gateway.lines)


def test_the_command_line_is_checked(start):
    for arguments in (
        [],
        ["--backend", "x:1", "--config", "mesh.yaml"],
        ["--backend", "x:1", "--timeout", "soon"],
        ["--backend", "x:1", "--listen", "nowhere"],
        ["--backend", "nowhere"],
        ["--config", "/no/such/mesh.yaml"],
    ):
        gateway = start("mesh", "gateway", *arguments)
        assert gateway.end() == 2, arguments
        assert not any("Traceback" in line for line in gateway.lines), gateway.lines


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stop_does_not_wait_for_a_backend_that_never_answers(start, workers):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        backend = f"127.0.0.1:{silent.getsockname()[1]}"
        gateway = start(
            *("mesh", "gateway", "--backend", backend, "--listen", "127.0.0.1:0"),
            *("--timeout", "60s", "--workers", workers),
        )
        connection, _ = silent.accept()
        with connection:
            gateway.signal(signal.SIGINT)
            assert gateway.end() == 0
        assert gateway.lines == []
