"""Native gRPC through the gateway: every arity, what passes and what does not, cancellation both ways, a swap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from gateway.app import Gateway
from gateway.grpc_server import grpc_server
from gateway.load import Source, load
from gateway.protocol.passage import host_of
from mesh.config.address import Address
from mesh.config.spec import Gateway as Settings
from tests.protoc import service_set

PROTO = """
message M { string text = 1; }
service S {
  rpc Unary(M) returns (M) { option (google.api.http) = { post: "/unary" body: "*" }; }
  rpc Answers(M) returns (stream M) { option (google.api.http) = { post: "/answers" body: "*" }; }
  rpc Asks(stream M) returns (M) { option (google.api.http) = { post: "/asks" body: "*" }; }
  rpc Both(stream M) returns (stream M) { option (google.api.http) = { post: "/both" body: "*" }; }
  rpc Inner(M) returns (M);
}
"""
WITHOUT_UNARY = PROTO.replace('{ option (google.api.http) = { post: "/unary" body: "*" }; }', ";", 1)


class Servant:
    """A backend that answers bytes with bytes; what is asked decides how."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {}
        self.remaining: float | None = None
        self.cancelled = asyncio.Event()
        self.reached = asyncio.Event()
        self.address = ""
        self._server = grpc.aio.server()
        handlers: dict[str, Any] = {
            "Unary": grpc.unary_unary_rpc_method_handler(self._unary),
            "Inner": grpc.unary_unary_rpc_method_handler(self._unary),
            "Answers": grpc.unary_stream_rpc_method_handler(self._answers),
            "Asks": grpc.stream_unary_rpc_method_handler(self._asks),
            "Both": grpc.stream_stream_rpc_method_handler(self._both),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.v1.S", handlers),))

    async def start(self) -> None:
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(None)

    async def _behave(self, wire: bytes, context: Any) -> None:
        self.metadata = dict(context.invocation_metadata())
        self.remaining = context.time_remaining()
        self.reached.set()
        if wire == b"hang":
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        if wire == b"fail":
            status = status_pb2.Status(code=5, message="no such thing")
            trailers = (("grpc-status-details-bin", status.SerializeToString()), ("x-hidden", "h"))
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing", trailers)

    async def _unary(self, wire: bytes, context: Any) -> bytes:
        await context.send_initial_metadata((("x-shown", "s"), ("x-hidden", "h")))
        context.set_trailing_metadata((("x-shown-bin", b"\x00\xff"), ("x-hidden", "h")))
        await self._behave(wire, context)
        return wire.upper()

    async def _answers(self, wire: bytes, context: Any) -> AsyncIterator[bytes]:
        await context.send_initial_metadata((("x-shown", "s"),))
        context.set_trailing_metadata((("x-shown-bin", b"\x00\xff"),))
        yield b"1"
        await self._behave(wire, context)
        yield b"2"

    async def _asks(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        seen = [wire async for wire in requests]
        await self._behave(seen[-1], context)
        return b"".join(seen)

    async def _both(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for wire in requests:
            await self._behave(wire, context)
            yield wire.upper()


@pytest.fixture
async def servant() -> AsyncIterator[Servant]:
    made = Servant()
    await made.start()
    yield made
    await made.stop()


async def blueprint_of(servant: Servant, folder: Path, proto: str = PROTO, **settings: Any) -> Any:
    file = folder / "s.binpb"
    file.write_bytes(service_set(proto))
    config = folder / "mesh.yaml"
    config.write_text(
        f'services: [{{name: s, serves: [t.v1.S], endpoints: ["{servant.address}"]}}]\n'
        f"descriptors: [{file}]\ngateway: {{grpc_listen: '127.0.0.1:0', access_log: false}}\n"
    )
    chosen = replace(Source(config=str(config)).chosen_settings(), **settings)
    return await load(Source(config=str(config), settings=chosen))


@pytest.fixture
async def gateway(servant: Servant, tmp_path: Path) -> AsyncIterator[Gateway]:
    made = Gateway(
        await blueprint_of(
            servant, tmp_path, forward_headers=("x-wanted", "x-request-id"), return_headers=("x-shown*",)
        )
    )
    made.open()
    yield made
    await made.close()


@pytest.fixture
async def channel(gateway: Gateway) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc_server(gateway, Address("127.0.0.1", 0), None)
    await server.start()
    async with grpc.aio.insecure_channel(server.address) as opened:
        yield opened
    await server.stop()


async def test_a_unary_call_and_its_metadata(channel, servant):
    call = channel.unary_unary("/t.v1.S/Unary")(
        b"ask", timeout=5, metadata=(("x-wanted", "w"), ("x-other", "o"), ("x-request-id", "r-1"))
    )
    assert await call == b"ASK"
    assert (servant.metadata["x-wanted"], servant.metadata["x-request-id"]) == ("w", "r-1")
    assert "x-other" not in servant.metadata
    # The wire rounds a deadline up, by as much as 10 ms of these.
    assert 4 < servant.remaining < 5.1
    assert ("x-shown", "s") in tuple(await call.initial_metadata())
    assert tuple(await call.trailing_metadata()) == (("x-shown-bin", b"\x00\xff"),)


async def test_a_call_that_names_no_deadline_gets_that_of_rest(channel, servant):
    await channel.unary_unary("/t.v1.S/Unary")(b"ask")
    # gRPC's core rounds a deadline up on the wire: 0.1 s from 10 s.
    assert 14 < servant.remaining <= Settings().request_timeout + 0.2
    assert len(servant.metadata["x-request-id"]) == 24


async def test_streams_of_every_kind(channel):
    answers = channel.unary_stream("/t.v1.S/Answers")(b"ask")
    assert await read_all(answers) == [b"1", b"2"]
    assert ("x-shown", "s") in tuple(await answers.initial_metadata())
    assert tuple(await answers.trailing_metadata()) == (("x-shown-bin", b"\x00\xff"),)
    assert await channel.stream_unary("/t.v1.S/Asks")(iter([b"a", b"b"])) == b"ab"
    both = channel.stream_stream("/t.v1.S/Both")()
    for word in (b"one", b"two"):
        await both.write(word)
        assert await both.read() == word.upper()
    await both.done_writing()
    assert await both.read() is grpc.aio.EOF


async def read_all(call: Any) -> list[bytes]:
    return [message async for message in call]


@pytest.mark.parametrize("arity", ["unary_unary", "unary_stream", "stream_unary", "stream_stream"])
async def test_a_failure_keeps_its_details_and_nothing_else(channel, arity):
    name = {
        "unary_unary": "Unary",
        "unary_stream": "Answers",
        "stream_unary": "Asks",
        "stream_stream": "Both",
    }[arity]
    request: Any = b"fail" if arity.startswith("unary") else iter([b"fail"])
    call = getattr(channel, arity)(f"/t.v1.S/{name}")(request)
    with pytest.raises(grpc.aio.AioRpcError) as info:
        await (call if arity.endswith("unary") else read_all(call))
    assert (info.value.code(), info.value.details()) == (grpc.StatusCode.NOT_FOUND, "no such thing")
    trailers = dict(info.value.trailing_metadata())
    assert status_pb2.Status.FromString(trailers["grpc-status-details-bin"]).code == 5
    assert "x-hidden" not in trailers


@pytest.mark.parametrize("method", ["/t.v1.S/Inner", "/t.v1.S/Nothing", "/other.v1.S/Unary"])
async def test_what_is_not_exposed_is_unimplemented(channel, method):
    with pytest.raises(grpc.aio.AioRpcError) as info:
        await channel.unary_unary(method)(b"ask")
    assert info.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("arity", "name"),
    [
        ("unary_unary", "Unary"),
        ("unary_stream", "Answers"),
        ("stream_unary", "Asks"),
        ("stream_stream", "Both"),
    ],
)
async def test_a_client_that_cancels_ends_the_backends_call(channel, servant, gateway, arity, name):
    request: Any = b"hang" if arity.startswith("unary") else iter([b"hang"])
    call = getattr(channel, arity)(f"/t.v1.S/{name}")(request)
    await asyncio.wait_for(servant.reached.wait(), 5)
    assert gateway.in_flight == 1
    call.cancel()
    await asyncio.wait_for(servant.cancelled.wait(), 5)
    while gateway.in_flight:
        await asyncio.sleep(0.01)


async def test_a_deadline_ends_the_backends_call(channel, servant):
    with pytest.raises(grpc.aio.AioRpcError) as info:
        await channel.unary_unary("/t.v1.S/Unary")(b"hang", timeout=0.2)
    assert info.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(servant.cancelled.wait(), 5)


async def test_a_swap_is_followed_call_by_call(channel, servant, gateway, tmp_path):
    hanging = channel.unary_unary("/t.v1.S/Unary")(b"hang")
    await asyncio.wait_for(servant.reached.wait(), 5)
    swapping = asyncio.ensure_future(gateway.swap(await blueprint_of(servant, tmp_path, WITHOUT_UNARY)))
    while gateway.live.blueprint.table.bindings[0].full_method == "/t.v1.S/Unary":
        await asyncio.sleep(0.01)
    with pytest.raises(grpc.aio.AioRpcError) as info:
        await channel.unary_unary("/t.v1.S/Unary")(b"ask")
    assert info.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert await channel.stream_unary("/t.v1.S/Asks")(iter([b"a"])) == b"a"
    # What is in flight keeps the schema and the channels it began with.
    assert not swapping.done()
    assert not servant.cancelled.is_set()
    hanging.cancel()
    await asyncio.wait_for(swapping, 5)


async def test_health_and_reflection_show_what_is_exposed(channel):
    health = health_pb2_grpc.HealthStub(channel)
    answer = await health.Check(health_pb2.HealthCheckRequest(service="t.v1.S"))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    async for response in stub.ServerReflectionInfo(iter([asked])):
        names = [service.name for service in response.list_services_response.service]
    assert sorted(names) == ["grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", "t.v1.S"]


@pytest.mark.parametrize(
    ("peer", "host"),
    [("ipv4:127.0.0.1:50051", "127.0.0.1"), ("ipv6:%5B::1%5D:50051", "::1"), ("unix:", "unix:")],
)
def test_whom_a_peer_is(peer, host):
    assert host_of(peer) == host
