"""What one worker does with a schema that is offered: looked at twice, judged, taken over with all that stays."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import pathlib
import time
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc.aio
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from gateway.app import Gateway
from gateway.edge.metrics import SCHEMA_UPDATES
from gateway.grpc_server import grpc_server
from gateway.load import Source, load
from gateway.schema.files import Files
from gateway.updates import Updates
from mesh.binding import reload
from mesh.call import Arity
from mesh.config.address import Address
from mesh.telemetry.telemetry import Telemetry
from tests.gateway.asgi.client import call
from tests.gateway.live.shop import CONFLICT, V1, V2, Backend, put, version

FOUND = "/v1/found/one"
RULES = 'http: {{rules: [{{selector: t.v1.Books.GetBook, get: "{}"}}]}}\n'


class Followed:
    """A gateway whose schema is looked at when the test says so."""

    def __init__(self, folder: pathlib.Path, backend: Backend) -> None:
        self.descriptors = folder / "shop.binpb"
        self.descriptors.write_bytes(V1)
        self.rules = folder / "rules.yaml"
        self.rules.write_text(RULES.format("/v1/ruled/{id}"))
        self.config = folder / "mesh.yaml"
        self._address = backend.address
        self.telemetry = Telemetry()
        self.gateway: Any = None
        self._updates: Any = None

    def write(self, policies: str = "{}", gateway: str = "") -> None:
        self.config.write_text(
            f"services: [{{name: shop, serves: [t.v1.Books], endpoints: ['{self._address}']}}]\n"
            f"descriptors: [{self.descriptors}]\npolicies: {policies}\ngateway: {{access_log: false{gateway}}}\n"
        )

    async def start(self, source: Source | None = None) -> None:
        source = source or Source(config=str(self.config))
        self._updates = Updates(source)
        self.gateway = Gateway(await load(source, self.telemetry))
        self.gateway.open()
        self._updates.attach(self.gateway)

    async def look(self) -> str:
        """Look until there is nothing more to see at once: a change counts when two looks agree."""
        first = await self._updates.look(self.gateway)
        return first or await self._updates.look(self.gateway)

    async def offer(self, data: bytes) -> str:
        put(self.descriptors, data)
        return await self.look()

    async def get(self, target: str) -> int:
        status: int = (await call(self.gateway, "GET", target)).status
        return status

    @property
    def counted(self) -> dict[str, float]:
        return {
            series.attributes[0][1]: series.value
            for series in self.telemetry.snapshot()
            if series.instrument is SCHEMA_UPDATES
        }

    async def close(self) -> None:
        if self._updates is not None:
            await self._updates.stop()
            await self.gateway.close()


@pytest.fixture
async def followed(tmp_path: pathlib.Path, backend: Backend) -> AsyncIterator[Followed]:
    made = Followed(tmp_path, backend)
    made.write()
    yield made
    await made.close()


async def test_a_change_is_followed_and_counted(followed):
    await followed.start()
    assert await followed.look() == ""
    assert await followed.offer(V2) == "swapped"
    assert await followed.get(FOUND) == 200
    assert await followed.offer(CONFLICT) == "refused"
    assert await followed.get(FOUND) == 200
    # It was said already.
    assert await followed.offer(CONFLICT) == "unchanged"
    assert followed.gateway.refused is not None
    assert await followed.offer(V2) == "unchanged"
    assert followed.gateway.refused is None
    assert followed.counted == {"swapped": 1, "refused": 1, "unchanged": 2}


async def test_every_problem_of_a_refused_schema_is_told(followed):
    followed.write("{services: [{service: t.v1.Books, methods: [{method: WatchBook}]}]}")
    await followed.start()
    methods = """
        rpc One(GetBookRequest) returns (Book) { option (google.api.http) = { get: "/v1/books/{nobody}" }; }
        rpc Two(GetBookRequest) returns (Book) { option (google.api.http) = { post: "/v1/x" body: "nothing" }; }
    """
    assert await followed.offer(version(methods=methods)) == "refused"
    assert [problem.path for problem in followed.gateway.refused.problems] == [
        "t.v1.Books.One (google.api.http).get",
        "t.v1.Books.Two (google.api.http).body",
    ]
    without = version().replace(b"WatchBook", b"SpotsBook")
    assert await followed.offer(without) == "refused"
    (problem,) = followed.gateway.refused.problems
    assert problem.path == "policies.services[0].methods[0].method"


async def test_breaks_are_refused_where_they_are_to_be(followed):
    followed.write(gateway=", schema_updates: {breaking_changes: BREAKING_CHANGES_REFUSE}")
    followed.descriptors.write_bytes(V2)
    await followed.start()
    assert await followed.offer(V1) == "refused"
    assert len(followed.gateway.refused.problems) == 2
    assert await followed.get(FOUND) == 200


async def test_rule_files_are_followed(followed):
    followed.write(gateway=f", rule_files: [{followed.rules}]")
    await followed.start()
    assert (await followed.get("/v1/ruled/a"), await followed.get("/v1/other/a")) == (200, 404)
    followed.rules.write_text(RULES.format("/v1/other/{id}"))
    assert await followed.look() == "swapped"
    assert (await followed.get("/v1/ruled/a"), await followed.get("/v1/other/a")) == (404, 200)


async def test_descriptors_of_a_backend_are_followed_though_it_is_away(followed, backend):
    source = Source(backend=backend.address, descriptors=(str(followed.descriptors),))
    await followed.start(source)
    await backend.stop()
    assert await followed.offer(V2) == "swapped"
    assert (await followed.get(FOUND), await followed.get("/v1/nowhere")) == (503, 404)


async def test_connections_stay(followed, backend):
    await followed.start()
    for data in (V2, V1, V2):
        await followed.get("/v1/books/one")
        assert await followed.offer(data) == "swapped"
    await followed.get("/v1/books/one")
    assert len(backend.peers) == 1


async def test_a_method_that_streams_now_is_called_as_such(followed):
    followed.write("{defaults: {stream: {idle_timeout: 0.2s}}}")
    await followed.start()
    assert await followed.get("/v1/books/one") == 200
    assert await followed.offer(version(answers="stream Book")) == "swapped"
    answer = await call(
        followed.gateway, "GET", "/v1/books/one", headers=[("accept", "application/x-ndjson")]
    )
    assert [json.loads(line)["result"]["id"] for line in answer.body.splitlines()] == ["one"]
    # What is kept of a method must not be that of another kind, which no idle stream ever ends.
    began = time.monotonic()
    assert await followed.get("/v1/books/held") == 409
    assert time.monotonic() - began < 5.0
    assert await followed.offer(V1) == "swapped"
    assert (await call(followed.gateway, "GET", "/v1/books/one")).json == {"id": "one", "title": "T"}


async def test_policies_that_came_since_stay(followed):
    await followed.start()
    followed.write("{defaults: {deadline: {default_timeout: 7s}}}")
    runtime = followed.gateway.live.blueprint.runtime
    reload.refresh(runtime)
    assert await followed.offer(V2) == "swapped"
    assert followed.gateway.live.blueprint.runtime is runtime
    assert "7s" in followed.gateway.live.backends.explain("/t.v1.Books/FindBook", Arity.UNARY_UNARY)
    # And those that come later are read with the new descriptors.
    followed.write(
        "{services: [{service: t.v1.Books, methods: [{method: FindBook, policy: {metrics: {enabled: false}}}]}]}"
    )
    reload.refresh(runtime)
    assert runtime.policies.pool is followed.gateway.live.blueprint.schema.pool


async def test_grpc_and_connect_follow(followed):
    await followed.start()
    server = grpc_server(followed.gateway, Address("127.0.0.1", 0), None)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(server.address) as channel:
            find = channel.unary_unary("/t.v1.Books/FindBook")
            with pytest.raises(grpc.aio.AioRpcError) as info:
                await find(b"\n\x03one")
            assert info.value.code() is grpc.StatusCode.UNIMPLEMENTED
            assert await followed.offer(V2) == "swapped"
            assert (await find(b"\n\x03one")).startswith(b"\n\x03one")
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol="t.v1.Books")
            async for response in stub.ServerReflectionInfo(iter([asked])):
                assert b"FindBook" in b"".join(response.file_descriptor_response.file_descriptor_proto)
    finally:
        await server.stop()
    answer = await call(
        followed.gateway,
        "POST",
        "/t.v1.Books/FindBook",
        body=b'{"id": "one"}',
        headers=[("content-type", "application/json"), ("connect-protocol-version", "1")],
    )
    assert (answer.status, answer.json["pages"]) == (200, 7)


async def test_what_was_replaced_is_gone(followed):
    await followed.start()
    seen = []
    for data in (V2, V1) * 3:
        seen.append(weakref.ref(followed.gateway.live.backends))
        assert await followed.offer(data) == "swapped"
        await followed.get("/v1/books/one")
    await asyncio.sleep(0)
    gc.collect()
    assert [one for one in seen if one() is not None] == []


async def test_a_schema_in_use_ends_with_the_gateway(followed, backend):
    await followed.start()
    watching = asyncio.ensure_future(call(followed.gateway, "GET", "/v1/books/one:watch"))
    while not followed.gateway.in_flight:
        await asyncio.sleep(0)
    assert await followed.offer(V2) == "swapped"
    old = next(iter(followed.gateway._watch.in_flight)).live
    assert old is not followed.gateway.live
    await followed.close()
    assert not old.backends.is_open
    watching.cancel()
    await asyncio.wait([watching])


async def test_nothing_is_followed_where_that_is_switched_off(followed):
    followed.write(gateway=", schema_updates: {watch: false}")
    await followed.start()
    source = Source(config=str(followed.config))
    before = asyncio.all_tasks()
    updates = Updates(source)
    updates.start(followed.gateway, lambda: None)
    assert asyncio.all_tasks() == before
    await updates.stop()


def test_several_files_are_one_change(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"1")
    files = Files([first, second])
    before = files.digest()
    first.write_bytes(b"22")
    assert not files.changed()
    second.write_bytes(b"3")
    # The first has settled, the second is new.
    assert not files.changed()
    assert files.pause() < 1.0
    assert files.changed()
    assert not files.changed()
    assert files.digest() != before


def test_a_file_that_was_only_touched_has_the_same_contents(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"1")
    files = Files([file])
    before = files.digest()
    os.utime(file, (1, 1))
    looks: list[Callable[[], bool]] = [files.changed, files.changed]
    assert [look() for look in looks] == [False, True]
    assert files.digest() == before
    files.again()
    assert files.changed()
