"""Composed methods are gRPC methods too, on the gateway's server or on anybody's."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest

from gateway.composed import add_composed

METHOD = "/library.v1.DeskService/GetDesk"


@pytest.fixture
async def call_desk(app, backend):
    """Call the composed method on a plain grpc.aio server."""
    server = grpc.aio.server()
    add_composed(server, app.live.blueprint.plans, app.live.backends, ("x-demo-*",))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")

    def call(book: str, **options):
        invoke = channel.unary_unary(
            METHOD,
            request_serializer=lambda request: (
                request if isinstance(request, bytes) else request.SerializeToString()
            ),
            response_deserializer=type(backend.new("Desk")).FromString,
        )
        request = book if isinstance(book, bytes) else backend.new("GetDeskRequest", book_id=book)
        return invoke(request, **options)

    yield call
    await channel.close()
    await server.stop(None)


async def test_it_answers_as_over_http(call_desk):
    desk = await call_desk("one")
    assert (desk.book.id, desk.sequel.id) == ("one", "one-2")


async def test_a_failed_step_is_the_calls_status_with_its_details(call_desk):
    with pytest.raises(grpc.aio.AioRpcError) as info:
        await call_desk("missing")
    assert (info.value.code(), info.value.details()) == (
        grpc.StatusCode.NOT_FOUND,
        'step "book": no such book',
    )
    assert "grpc-status-details-bin" in dict(info.value.trailing_metadata())


async def test_its_deadline_is_the_steps(call_desk):
    with pytest.raises(grpc.aio.AioRpcError) as info:
        await call_desk("held", timeout=0.15)
    assert info.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_metadata_passes_by_name(call_desk, backend):
    await call_desk("one", metadata=(("x-demo-user", "ann"), ("x-other", "1")))
    metadata = backend.calls[0][1]
    assert metadata["x-demo-user"] == "ann"
    assert "x-other" not in metadata


async def test_bytes_that_are_no_request(call_desk):
    with pytest.raises(grpc.aio.AioRpcError) as info:
        await call_desk(b"\xff\xff")
    assert info.value.code() is grpc.StatusCode.INVALID_ARGUMENT
