"""A new schema is served without a restart and without a failed request; one that cannot be served changes nothing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import pytest

from tests.gateway.live.shop import CONFLICT, V1, V2, Client, Load, put

pytestmark = pytest.mark.slow


async def come_about(condition: Callable[[], Awaitable[bool]], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < end, "it never came about"
        await asyncio.sleep(0.05)


async def test_no_request_fails_while_schemas_come_and_go(serve, backend, descriptors):
    gateway = await serve()
    assert await gateway.client.get("/v1/books/one") == (200, {"id": "one", "title": "T"})
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"GET /v1/books/two:watch HTTP/1.1\r\nhost: x\r\naccept: application/x-ndjson\r\n\r\n")
    await reader.readuntil(b'"two"')
    load = Load(gateway.port)
    began = time.monotonic()

    async def is_found() -> bool:
        return await gateway.status("/v1/found/one") == 200

    async def is_gone() -> bool:
        return await gateway.status("/v1/found/one") == 404

    for data, done in ((V2, is_found), (V1, is_gone), (V2, is_found)):
        put(descriptors, data)
        await come_about(done)
    seconds = time.monotonic() - began
    await load.stop()
    # The page of the API is that of the schema; the stream began with the first.
    assert "/v1/found/{id}" in (await gateway.client.get("/openapi.json"))[1]["paths"]
    assert await gateway.client.get("/v1/books/one") == (200, {"id": "one", "title": "T", "pages": 7})
    backend.release.set()
    rest = await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5)
    writer.close()
    assert b'"two"' in rest
    assert b"pages" not in rest
    assert load.errors == []
    assert set(load.statuses) == {200}
    assert load.statuses[200] / seconds > 100
    assert gateway.said("breaking change: t.v1.Book.pages: is gone")
    assert [schema["refused"] for schema in await gateway.schemas()] == [None]


async def test_what_breaks_is_refused_where_it_is_to_be(serve, descriptors):
    put(descriptors, V2)
    gateway = await serve(breaking="BREAKING_CHANGES_REFUSE")
    before = await gateway.schemas()
    put(descriptors, V1)

    async def is_refused() -> bool:
        return (await gateway.schemas())[0]["refused"] is not None

    await come_about(is_refused)
    after = (await gateway.schemas())[0]
    assert after["hash"] == before[0]["hash"]
    breaks = [
        't.v1.Books.FindBook: is not served any more, nor is "GET /v1/found/{id}"',
        "t.v1.Book.pages: is gone",
    ]
    assert after["refused"]["problems"] == breaks
    assert all(gateway.said(text) for text in breaks)
    assert await gateway.status("/v1/found/one") == 200
    put(descriptors, V2)

    async def is_forgiven() -> bool:
        return (await gateway.schemas())[0]["refused"] is None

    await come_about(is_forgiven)
    assert (await gateway.schemas())[0]["since"] == before[0]["since"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (V2[: len(V2) // 2], "is not an encoded google.protobuf.FileDescriptorSet"),
        (b"", "holds no files: it is empty"),
        (CONFLICT, '"GET /v1/found/{id}" matches the same requests as t.v1.Books.GetBook'),
    ],
    ids=["cut off", "emptied", "in conflict"],
)
async def test_what_cannot_be_served_changes_nothing(serve, descriptors, data, problem):
    gateway = await serve()
    # Written as it should not be: in place, with a pause.
    descriptors.write_bytes(data)

    async def is_refused() -> bool:
        return (await gateway.schemas())[0]["refused"] is not None

    await come_about(is_refused)
    refused = (await gateway.schemas())[0]["refused"]["problems"]
    assert any(problem in text for text in refused)
    assert all(gateway.said(text) for text in refused)
    assert gateway.said("the new schema is refused: the one before goes on serving")
    assert await gateway.status("/v1/books/one") == 200
    descriptors.write_bytes(V2)

    async def is_found() -> bool:
        return await gateway.status("/v1/found/one") == 200

    await come_about(is_found)


async def test_every_worker_follows(serve, descriptors):
    gateway = await serve(workers=2)
    assert len(await gateway.schemas()) == 2
    put(descriptors, V2)
    first = (await gateway.schemas())[0]["hash"]

    async def both_did() -> bool:
        hashes = [schema["hash"] for schema in await gateway.schemas()]
        return len(hashes) == 2 and first not in hashes

    await come_about(both_did)


async def test_a_backend_that_comes_back_with_a_new_schema_is_asked_again(serve, tmp_path):
    from tests.gateway.live.shop import Backend

    old = Backend(V1)
    await old.start()
    gateway = await serve(
        "tests.gateway.live.reflecting", old.address, json.dumps({"reflection_interval": 0.3})
    )
    assert await gateway.client.get("/v1/books/one") == (200, {"id": "one", "title": "T"})
    assert await gateway.status("/v1/found/one") == 404
    address = old.address
    await old.stop()

    async def is_noticed() -> bool:
        return gateway.said("does not tell its schema")

    await come_about(is_noticed)
    new = Backend(V2)
    await new.start(address)
    try:

        async def is_found() -> bool:
            client = Client(gateway.port)
            try:
                return await client.get("/v1/found/one") == (200, {"id": "one", "title": "T", "pages": 7})
            finally:
                client.close()

        await come_about(is_found)
    finally:
        await new.stop()
