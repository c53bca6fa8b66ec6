"""Over a real wire: one span on each side of a call whichever engine makes it, and never two."""

from __future__ import annotations

import asyncio
import contextlib

import grpc
import grpc.aio
import pytest
from google.protobuf import json_format
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mesh.binding.channel import client_interceptors
from mesh.binding.runtime import Runtime
from mesh.binding.server import server_interceptors
from mesh.policy.table import load
from mesh.telemetry.selection import Selection
from mesh.telemetry.telemetry import Telemetry
from mesh.telemetry.tracing import Tracing
from mesh.v1 import config_pb2

FOREIGN = {"trace": {"engine": "TRACE_ENGINE_OTEL_INSTRUMENTATION"}}
NATIVE = {"trace": {"engine": "TRACE_ENGINE_NATIVE"}}
POLICIES = {
    "services": [
        {"service": "native.Service", "policy": NATIVE},
        {"service": "package.Service", "policy": FOREIGN},
        {
            "service": "mixed.Service",
            "policy": FOREIGN,
            "methods": [{"method": "Native", "policy": NATIVE}],
        },
        {"service": "excluded.Service", "policy": FOREIGN},
    ]
}
SOON = 5.0


class Service(grpc.GenericRpcHandler):
    """Serves every method; what it does is in the method's name."""

    def __init__(self) -> None:
        self.metadata: dict[str, str] = {}
        self.handling = asyncio.Event()

    def service(self, handler_call_details):
        method = handler_call_details.method
        if "Stream" in method:
            handler = self.write if "Write" in method else self.generate
            return grpc.unary_stream_rpc_method_handler(handler)
        if "Hang" in method:
            return grpc.unary_unary_rpc_method_handler(self.hang)
        return grpc.unary_unary_rpc_method_handler(self.fail if "Fail" in method else self.answer)

    async def answer(self, request, context):
        self.metadata = dict(context.invocation_metadata())
        return request

    async def fail(self, request, context):
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")

    async def hang(self, request, context):
        self.handling.set()
        await asyncio.Event().wait()

    async def generate(self, request, context):
        for _ in range(3):
            yield request

    async def write(self, request, context):
        for _ in range(3):
            await context.write(request)


class Remembering(Runtime):
    """A runtime that knows the chains it has made, as a policy push needs to."""

    def __init__(self, **options):
        super().__init__(**options)
        self.made = []

    def chains(self, side, target, **options):
        self.made.append(super().chains(side, target, **options))
        return self.made[-1]


class World:
    """A server and a channel of the mesh, and the spans both have finished."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        policies, problems = load(json_format.ParseDict(POLICIES, config_pb2.Policies()))
        assert not problems
        selection = Selection(excluded_services=frozenset({"excluded.Service"}))
        telemetry = Telemetry(tracing=Tracing(provider=provider), selection=selection)
        self.runtime = Remembering(policies=policies, telemetry=telemetry)
        self.service = Service()

    @contextlib.asynccontextmanager
    async def running(self):
        server = grpc.aio.server(interceptors=server_interceptors("backend", using=self.runtime))
        server.add_generic_rpc_handlers([self.service])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        interceptors = client_interceptors("backend", using=self.runtime)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", interceptors=interceptors) as channel:
            yield channel
        await server.stop(None)

    def kinds(self, method: str) -> list[str]:
        spans = [
            span for span in self.exporter.get_finished_spans() if span.name.lstrip("/") == method.lstrip("/")
        ]
        return sorted(span.kind.name for span in spans)

    def scopes(self) -> set[str]:
        return {span.instrumentation_scope.name for span in self.exporter.get_finished_spans()}


PACKAGE = "opentelemetry.instrumentation.grpc"
BOTH = ["CLIENT", "SERVER"]


@pytest.mark.parametrize(
    ("method", "scope"),
    [
        ("/native.Service/Get", "grpc-mesh"),
        ("/package.Service/Get", PACKAGE),
        ("/mixed.Service/Get", PACKAGE),
        ("/mixed.Service/Native", "grpc-mesh"),
    ],
)
async def test_the_policy_chooses_who_makes_the_one_span_of_each_side(method, scope):
    world = World()
    async with world.running() as channel:
        await channel.unary_unary(method)(b"x")

    client, server = sorted(world.exporter.get_finished_spans(), key=lambda span: span.kind.name)
    assert (world.kinds(method), world.scopes()) == (BOTH, {scope})
    assert server.parent.span_id == client.context.span_id
    assert world.service.metadata["traceparent"].split("-")[2] == f"{client.context.span_id:016x}"


@pytest.mark.parametrize("service", ["native.Service", "package.Service"])
async def test_a_call_that_fails_has_one_span_on_each_side(service):
    world = World()
    method = f"/{service}/Fail"
    async with world.running() as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary(method)(b"x")

    assert world.kinds(method) == BOTH


@pytest.mark.parametrize("service", ["native.Service", "package.Service"])
async def test_a_call_that_is_cancelled_has_one_span_on_each_side(service):
    world = World()
    method = f"/{service}/Hang"
    async with world.running() as channel:
        waiting = asyncio.ensure_future(_wait(channel.unary_unary(method)(b"x")))
        await asyncio.wait_for(world.service.handling.wait(), SOON)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    assert world.kinds(method) == BOTH


async def _wait(call):
    return await call


@pytest.mark.parametrize("service", ["native.Service", "package.Service"])
@pytest.mark.parametrize("how", ["StreamGenerate", "StreamWrite"])
async def test_a_stream_has_one_span_on_each_side_however_the_handler_sends_it(service, how):
    world = World()
    method = f"/{service}/{how}"
    async with world.running() as channel:
        messages = [message async for message in channel.unary_stream(method)(b"x")]

    assert messages == [b"x"] * 3
    assert world.kinds(method) == BOTH


async def test_a_stream_that_is_left_half_read_has_one_span_on_each_side():
    world = World()
    method = "/native.Service/StreamGenerate"
    async with world.running() as channel:
        call = channel.unary_stream(method)(b"x")
        async for _ in call:
            break
        call.cancel()

    assert world.kinds(method) == BOTH


async def test_an_excluded_service_gets_no_span_of_either_engine():
    world = World()
    async with world.running() as channel:
        await channel.unary_unary("/excluded.Service/Get")(b"x")

    assert world.exporter.get_finished_spans() == ()


async def test_a_policy_push_moves_the_spans_from_one_engine_to_the_other():
    world = World()
    method = "/package.Service/Get"
    async with world.running() as channel:
        await channel.unary_unary(method)(b"x")
        world.exporter.clear()
        policies, _ = load(json_format.ParseDict({"defaults": NATIVE}, config_pb2.Policies()))
        for chains in world.runtime.made:
            chains.swap(policies)
        await channel.unary_unary(method)(b"x")

    assert (world.kinds(method), world.scopes()) == (BOTH, {"grpc-mesh"})
