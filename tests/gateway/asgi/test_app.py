"""What the gateway answers of itself, what it logs, counts and traces, and how its schema is replaced."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import replace

from openapi_spec_validator import validate
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway.edge.access_log import AccessLog
from gateway.load import Source, load
from mesh.telemetry.sink import LineSink
from mesh.telemetry.telemetry import Telemetry
from mesh.telemetry.tracing import Tracing
from tests.gateway.asgi.client import Request, call

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"


async def test_the_openapi_document_is_valid_and_describes_the_routes(app):
    response = await call(app, "GET", "/openapi.json")
    assert response.headers["content-type"] == "application/json"
    validate(response.json)
    assert {"/v1/books/{id}", "/v1/desks/{bookId}"} <= set(response.json["paths"])


async def test_the_documentation_and_its_assets(app):
    page = await call(app, "GET", "/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    asset = await call(app, "HEAD", "/docs/swagger-ui.css")
    assert (asset.status, asset.body) == (200, b"")
    assert (await call(app, "POST", "/docs")).headers["allow"] == "GET, HEAD, OPTIONS"


async def test_health_is_the_process_and_readiness_is_not_draining(app):
    assert (await call(app, "GET", "/healthz")).status == 200
    assert (await call(app, "GET", "/readyz")).status == 200
    app.draining = True
    assert (await call(app, "GET", "/healthz")).status == 200
    refused = await call(app, "GET", "/readyz")
    assert (refused.status, refused.json) == (503, {"status": "NOT_SERVING"})


async def test_a_gateway_whose_channels_are_not_open_is_not_ready(app):
    await app.close()
    assert (await call(app, "GET", "/readyz")).status == 503


async def test_a_draining_gateway_still_answers_and_ends_its_connections(app):
    app.draining = True
    response = await call(app, "GET", "/v1/books/one")
    assert (response.status, response.headers["connection"]) == (200, "close")
    request = Request("GET", "/v1/books/one", version="2", host=False)
    request.messages.put_nowait({"type": "http.request"})
    assert "connection" not in (await request.run(app)).headers


async def test_each_request_leaves_a_line(make):
    app = await make(access_log=True)
    log = io.StringIO()
    app._log = AccessLog(LineSink(log), lambda: 1_700_000_000.25)
    await call(app, "GET", "/v1/books/one?revision=1", headers=[("x-request-id", "r-1")])
    await call(app, "GET", "/v1/books/missing")
    await call(app, "GET", "/v1/books/one?x=%zz")
    app._log.flush()
    first, second, third = (json.loads(line) for line in log.getvalue().splitlines())
    assert first.pop("seconds") > 0
    assert first == {
        "time": "2023-11-14T22:13:20.250Z",
        "id": "r-1",
        "method": "GET",
        "path": "/v1/books/one",
        "route": "/v1/books/{id}",
        "status": 200,
        "code": "OK",
        "protocol": "rest",
        "received": 0,
        "bytes": 62,
        "client": "192.0.2.1",
    }
    assert (second["status"], second["code"], second["error"]) == (404, "NOT_FOUND", "no such book")
    assert (third["status"], third["code"]) == (400, "INVALID_ARGUMENT")


async def test_durations_are_counted_by_route_and_status(make):
    telemetry = Telemetry()
    app = await make(telemetry=telemetry)
    await call(app, "GET", "/v1/books/one")
    await call(app, "GET", "/v1/books/missing")
    await call(app, "GET", "/nowhere")
    await call(app, "GET", "/readyz")
    seen = {
        (dict(series.attributes)["http.route"], dict(series.attributes)["http.response.status_code"])
        for series in telemetry.snapshot()
        if series.instrument.name == "http.server.request.duration"
    }
    assert seen == {("/v1/books/{id}", "200"), ("/v1/books/{id}", "404"), ("", "404"), ("/readyz", "200")}


def tracing() -> tuple[Telemetry, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Telemetry(tracing=Tracing(provider=provider, ratio=0.0)), exporter


async def test_a_sampled_trace_goes_through_the_gateway_to_the_backend(make, backend):
    telemetry, exporter = tracing()
    app = await make(telemetry=telemetry)
    await call(app, "GET", "/v1/books/one", headers=[("traceparent", f"{PARENT}1"), ("tracestate", "a=1")])
    client, edge = exporter.get_finished_spans()
    assert edge.name == "GET /v1/books/{id}"
    assert edge.attributes["http.response.status_code"] == 200
    assert f"{edge.parent.span_id:016x}" == "b7ad6b7169203331"
    assert client.parent.span_id == edge.context.span_id
    metadata = backend.calls[0][1]
    assert metadata["traceparent"] == f"00-0af7651916cd43dd8448eb211c80319c-{client.context.span_id:016x}-01"
    assert metadata["tracestate"] == "a=1"


async def test_an_unsampled_trace_is_passed_on_without_a_span(make, backend):
    telemetry, exporter = tracing()
    app = await make(telemetry=telemetry)
    await call(app, "GET", "/v1/books/one", headers=[("traceparent", f"{PARENT}0")])
    assert exporter.get_finished_spans() == ()
    assert backend.calls[0][1]["traceparent"] == f"{PARENT}0"


async def test_all_steps_of_a_composition_are_in_one_new_trace(make, backend):
    telemetry, _ = tracing()
    app = await make(telemetry=telemetry)
    await call(app, "GET", "/v1/desks/one")
    first, second = (metadata["traceparent"] for _, metadata in backend.calls)
    assert first == second
    assert first.endswith("-00")


async def test_without_anyone_to_trace_nothing_is_sent(app, backend):
    await call(app, "GET", "/v1/books/one")
    assert "traceparent" not in backend.calls[0][1]


async def test_a_schema_is_replaced_while_requests_of_the_old_one_finish(make, backend, descriptors):
    app = await make()
    held = Request("GET", "/v1/books/held")
    running = asyncio.create_task(held.run(app))
    await backend.started.wait()
    settings = replace(app.live.blueprint.settings)
    blueprint = await load(
        Source(
            backend=backend.address,
            descriptors=(str(descriptors),),
            services=("library.v1.DeskService",),
            settings=settings,
        )
    )
    swapping = asyncio.create_task(app.swap(blueprint))
    await asyncio.sleep(0)
    assert (await call(app, "GET", "/v1/books/one")).status == 404
    assert not swapping.done()
    backend.release.set()
    assert (await running).status == 200
    await asyncio.wait_for(swapping, 5)


async def test_a_host_may_use_the_lifespan(make):
    app = await make()
    await app.close()
    inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    sent: list[str] = []

    async def send(message):
        sent.append(message["type"])

    life = asyncio.create_task(app({"type": "lifespan"}, inbox.get, send))
    inbox.put_nowait({"type": "lifespan.startup"})
    while not sent:
        await asyncio.sleep(0)
    assert (await call(app, "GET", "/v1/books/one")).status == 200
    inbox.put_nowait({"type": "lifespan.shutdown"})
    await life
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_host_without_denials_refuses_handshakes_its_own_way(app):
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    scope = {**Request("GET", "/v1/nowhere").scope, "type": "websocket", "subprotocols": []}
    await app(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]
