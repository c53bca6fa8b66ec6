"""A mesh server of plain functions: health, reflection, a drain that fails no call, and its own time limit."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import mesh.sync
from mesh.binding.runtime import Runtime
from mesh.call import CURRENT
from mesh.errors import ConfigError
from mesh.policy.table import PolicyTable
from mesh.telemetry import instruments
from mesh.v1 import policy_pb2
from tests.policy.test_table import described

from .node import BUY, GET, LIST, SERVICE, runtime
from .test_threads import until

Health = health_pb2.HealthCheckResponse


class Node:
    """Answers with its name, unless a test says otherwise."""

    def __init__(self, **options: Any) -> None:
        self.entered = threading.Event()
        self.finish = threading.Event()
        self.closed = threading.Event()
        options.setdefault("using", runtime())
        options.setdefault("lame_duck", 0.0)
        self.server = mesh.sync.server("node", listen="127.0.0.1:0", **options)
        handlers = {
            "Get": grpc.unary_unary_rpc_method_handler(self.get),
            "Buy": grpc.unary_unary_rpc_method_handler(self.buy),
            "List": grpc.unary_stream_rpc_method_handler(self.list),
        }
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self.server.add_registered_method_handlers(SERVICE, handlers)

    def get(self, request: bytes, context: Any) -> bytes:
        return b"node"

    def buy(self, request: bytes, context: Any) -> bytes:
        """Take as long as the test wants."""
        self.entered.set()
        assert self.finish.wait(30)
        return b"bought"

    def list(self, request: bytes, context: Any) -> Iterator[bytes]:
        try:
            yield b"one"
            self.entered.set()
            while True:
                time.sleep(0.01)
                yield b"more"
        finally:
            self.closed.set()


@contextlib.contextmanager
def running(**options: Any) -> Iterator[tuple[Node, grpc.Channel]]:
    node = Node(**options)
    address = node.server.start()
    with grpc.insecure_channel(address) as channel:
        try:
            yield node, channel
        finally:
            node.finish.set()
            node.server.stop().wait()


def check(channel: grpc.Channel, service: str = "") -> int:
    return health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service)).status


def watch(channel: grpc.Channel) -> Any:
    return health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())


# What it adds to a server


@pytest.mark.parametrize("service", ["", SERVICE])
def test_it_answers_for_itself_and_each_service(service):
    with running() as (_, channel):
        assert Health.SERVING == check(channel, service)


def test_health_of_a_service_it_does_not_have():
    with running() as (_, channel), pytest.raises(grpc.RpcError) as caught:
        check(channel, "else.Where")

    assert grpc.StatusCode.NOT_FOUND == caught.value.code()


def test_health_is_answered_when_every_thread_is_busy():
    with running(max_workers=1) as (node, channel):
        busy = channel.unary_unary(BUY).future(b"")
        assert node.entered.wait(5)

        assert Health.SERVING == check(channel)
        node.finish.set()
        assert b"bought" == busy.result(5)


def test_reflection_lists_its_services():
    with running() as (_, channel):
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        [answer] = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))

    names = {service.name for service in answer.list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} == names


# How it drains


def test_it_says_so_first_then_finishes_what_is_in_flight():
    with running(lame_duck=0.3) as (node, channel):
        health = watch(channel)
        assert Health.SERVING == next(health).status
        slow = channel.unary_unary(BUY).future(b"")
        assert node.entered.wait(5)

        draining = threading.Thread(target=node.server.drain)
        draining.start()

        assert Health.NOT_SERVING == next(health).status
        # Whoever does not listen is still served: this is what the lame duck is for.
        assert b"node" == channel.unary_unary(GET)(b"")
        with pytest.raises(grpc.RpcError, match="the server is stopping"):
            next(health)
        assert draining.is_alive()
        node.finish.set()
        assert b"bought" == slow.result(5)
        draining.join(5)
        assert not draining.is_alive()


def test_a_call_that_takes_longer_than_the_grace_is_cancelled():
    with running(grace=0.1) as (node, channel):
        hanging = channel.unary_unary(BUY).future(b"")
        assert node.entered.wait(5)

        node.server.drain()

        assert hanging.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


def test_many_watchers_come_and_go():
    with running() as (node, channel):
        for _ in range(3):
            watches = [watch(channel) for _ in range(20)]
            assert [Health.SERVING] * 20 == [next(one).status for one in watches]
            for one in watches:
                one.cancel()
        until(lambda: not node.server._health._watches)


def test_a_server_that_was_not_started_has_nothing_to_drain():
    mesh.sync.server("idle", using=runtime()).drain()
    assert mesh.sync.server("idle", using=runtime()).stop().is_set()


# What it refuses


def test_a_port_that_is_taken():
    with running() as (node, _), pytest.raises(ConfigError, match=r'cannot listen on "127\.0\.0\.1:'):
        mesh.sync.server("other", listen=node.server.address, using=runtime()).start()


def test_annotations_that_are_wrong():
    pool = described(Get=policy_pb2.Policy(retry={"max_attempts": 99}))

    with pytest.raises(ConfigError, match='max_attempts: "99" is out of range'):
        Node(using=Runtime(policies=PolicyTable(pool=pool))).server.start()


def test_a_handler_for_the_other_api_is_refused_with_words():
    async def answer(request, context):
        return b""

    server = mesh.sync.server("one", listen="127.0.0.1:0", using=runtime())
    handlers = {"Get": grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    with grpc.insecure_channel(server.start()) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(GET)(b"")
    server.stop().wait()

    assert grpc.StatusCode.UNIMPLEMENTED == caught.value.code()
    assert "the handler is `async def`; a grpc server needs a plain function" == caught.value.details()


# Its own time limit, and clients that go away


LIMITED = "defaults: {deadline: {max_timeout: 0.1s}}"


def test_what_comes_after_the_servers_limit_is_late():
    """A handler's thread cannot be interrupted: the client hears of it when the handler comes back."""
    with running(using=runtime(LIMITED)) as (node, channel):
        late = channel.unary_unary(BUY).future(b"")
        assert node.entered.wait(5)
        time.sleep(0.15)
        assert not late.done()

        node.finish.set()

        assert grpc.StatusCode.DEADLINE_EXCEEDED == late.code()
        assert "the server's time limit for this method passed" == late.details()


def test_a_stream_ends_at_the_servers_limit():
    with running(using=runtime(LIMITED)) as (node, channel):
        with pytest.raises(grpc.RpcError) as caught:
            list(channel.unary_stream(LIST)(b""))

        assert grpc.StatusCode.DEADLINE_EXCEEDED == caught.value.code()
        assert node.closed.wait(5)


def test_a_generator_is_closed_when_its_client_goes_away():
    using = runtime()
    with running(using=using) as (node, channel):
        call = channel.unary_stream(LIST)(b"")
        assert b"one" == next(call)
        call.cancel()

        assert node.closed.wait(5)
        until(lambda: _active(using) == [0])


def test_a_call_settles_once_its_handler_is_back():
    """Not when its client goes away: until then its thread is taken, and so is its place under a limit."""
    using = runtime()
    with running(using=using) as (node, channel):
        call = channel.unary_unary(BUY).future(b"")
        assert node.entered.wait(5)
        call.cancel()
        time.sleep(0.05)
        assert [1] == _active(using)

        node.finish.set()

        until(lambda: _active(using) == [0])
        [ended] = [s for s in using.telemetry.snapshot() if s.instrument is instruments.SERVER_CALL_DURATION]
        assert "CANCELLED" == dict(ended.attributes)["rpc.response.status_code"]


def _active(using: Runtime) -> list[float]:
    series = [s for s in using.telemetry.snapshot() if s.instrument is instruments.SERVER_ACTIVE_CALLS]
    return [one.value for one in series if "Get" not in dict(one.attributes)["rpc.method"] and one.value] or [
        0
    ]


def test_the_pools_threads_forget_the_call_they_served():
    seen: list[Any] = []

    class Nosy(grpc.ServerInterceptor):
        def intercept_service(self, continuation, details):
            return continuation(details)

    with running(max_workers=1, interceptors=[Nosy()]) as (node, channel):
        pool = node.server._pools[0]
        channel.unary_unary(GET)(b"", timeout=5)
        seen.append(pool.submit(CURRENT.get).result(5))

    assert [None] == seen


def test_calls_made_by_a_handler_inherit_its_deadline():
    remaining: list[float] = []

    def note(request: bytes, context: Any) -> bytes:
        remaining.append(context.time_remaining())
        return b""

    class Backend(Node):
        get = staticmethod(note)  # type: ignore[assignment]

    backend = Backend()
    with mesh.sync.channel(backend.server.start(), using=runtime()) as onward:

        class Front(Node):
            get = staticmethod(lambda request, context: onward.unary_unary(GET)(b"", timeout=60.0))  # type: ignore[assignment]

        front = Front(using=runtime("defaults: {deadline: {max_timeout: 2s}}"))
        with grpc.insecure_channel(front.server.start()) as channel:
            channel.unary_unary(GET)(b"")
    front.server.stop().wait()
    backend.server.stop().wait()

    assert 0.5 < remaining[0] <= 2.0


# As a process


MAIN = """
import sys, time, grpc, mesh.sync
from mesh.binding.runtime import Runtime
def get(request, context):
    time.sleep({b"slow": 0.7, b"hang": 3.0}.get(request, 0.0))
    return b"done"
handlers = {"Get": grpc.unary_unary_rpc_method_handler(get)}
server = mesh.sync.server("one", listen=sys.argv[1], lame_duck=0.2, grace=30.0, using=Runtime())
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.v1.Shop", handlers),))
server.run()
print("ended")
"""


@contextlib.contextmanager
def process() -> Iterator[tuple[subprocess.Popen[str], grpc.Channel]]:
    from .process import ROOT, free_address

    address = free_address()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MESH_")}
    environment["PYTHONPATH"] = str(Path(ROOT))
    command = [sys.executable, "-c", MAIN, address]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child,
        grpc.insecure_channel(address, options=[("grpc.enable_retries", 0)]) as channel,
    ):
        try:
            channel.unary_unary(GET)(b"", wait_for_ready=True, timeout=30)
            yield child, channel
        finally:
            child.kill()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_ends_it_well(number):
    """What it had accepted, it answers."""
    with process() as (child, channel):
        calls = [channel.unary_unary(GET).future(b"slow") for _ in range(8)]
        time.sleep(0.3)
        child.send_signal(number)

        assert [b"done"] * 8 == [call.result(20) for call in calls]
        assert "ended\n" == child.communicate(timeout=20)[0]
        assert 0 == child.returncode


@pytest.mark.slow
def test_a_second_signal_cancels_what_is_in_flight():
    with process() as (child, channel):
        hanging = channel.unary_unary(GET).future(b"hang")
        time.sleep(0.2)
        child.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert not hanging.done()

        child.send_signal(signal.SIGTERM)

        assert hanging.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        assert "ended\n" == child.communicate(timeout=20)[0]
