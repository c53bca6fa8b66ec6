"""Routes to subsets of a service: each subset has its own connections, chains and names."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

import mesh
import mesh.sync
from mesh.binding import channel_sync, site_sync
from mesh.binding.direct import Direct
from mesh.binding.runtime import Runtime
from mesh.binding.service_config import ChannelArguments
from mesh.binding.site_aio import Site
from mesh.binding.target import resolve
from mesh.call import Arity, Colour
from mesh.config import environment
from mesh.config.spec import Environment
from mesh.errors import ConfigError
from mesh.policy.table import PolicyTable
from tests.policy.test_table import table

from .coloured import coloured
from .node import BUY, GET, LIST, Node, running, until

CANARY = "{headers: [{name: x-group, exact: beta}], to: [{subset: v2}]}"
COLOURS = pytest.mark.parametrize("colour", list(Colour), ids=lambda colour: colour.value)
SPLIT = "{to: [{subset: v1, weight: 4}, {subset: v2, weight: 1}]}"
STICKY = "{to: [{subset: v1}, {subset: v2}], hash_header: x-user}"


def written(folder, nodes: list[Node], rule: str) -> Environment:
    home, one, two = (node.address for node in nodes)
    file = folder / "mesh.yaml"
    file.write_text(
        f"""
services:
- name: shop
  serves: [shop.v1.Shop]
  endpoints: ["{home}"]
  subsets:
  - {{name: v1, endpoints: ["{one}"]}}
  - {{name: v2, endpoints: ["{two}"]}}
policies:
  services:
  - service: shop.v1.Shop
    policy: {{retry: {{enabled: false}}, route: {{rules: [{rule}]}}}}
"""
    )
    known, diagnostics = environment.load(file)
    assert known is not None, diagnostics
    return known


@contextlib.asynccontextmanager
async def opened(colour: Colour, folder, rule: str) -> AsyncIterator[tuple[Any, list[Node], Runtime]]:
    async with running(3) as nodes:
        using = Runtime(written(folder, nodes, rule))
        async with coloured(colour, "shop", using=using) as channel:
            yield channel, nodes, using


@COLOURS
async def test_requests_that_match_go_to_the_subset_and_others_to_the_service(colour, tmp_path):
    async with opened(colour, tmp_path, CANARY) as (channel, _, _):
        get = channel.unary_unary(GET)

        assert b"node2" == await get(b"", metadata=(("x-group", "beta"),))
        assert b"node0" == await get(b"", metadata=(("x-group", "alpha"),))
        assert b"node0" == await get(b"")


@COLOURS
async def test_streams_are_routed_too(colour, tmp_path):
    async with opened(colour, tmp_path, CANARY) as (channel, _, _):
        stream = channel.unary_stream(LIST)(b"", metadata=(("x-group", "beta"),))

        assert [b"node2"] * 3 == [message async for message in stream]


@COLOURS
async def test_calls_are_split_by_weight(colour, tmp_path):
    async with opened(colour, tmp_path, SPLIT) as (channel, _, _):
        answers = collections.Counter([await channel.unary_unary(GET)(b"") for _ in range(300)])

    assert {b"node1", b"node2"} == set(answers)
    assert 20 < answers[b"node2"] < 120


@COLOURS
async def test_a_user_stays_with_one_subset(colour, tmp_path):
    seen: dict[str, set[bytes]] = collections.defaultdict(set)
    async with opened(colour, tmp_path, STICKY) as (channel, _, _):
        for _ in range(5):
            for user in map(str, range(20)):
                seen[user].add(await channel.unary_unary(GET)(b"", metadata=(("x-user", user),)))

    assert {1} == set(map(len, seen.values()))
    assert {b"node1", b"node2"} == set().union(*seen.values())


async def test_behind_interceptors_of_ones_own(tmp_path):
    class Passing(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation, details, request):
            return await continuation(details, request)

    async with running(3) as nodes:
        using = Runtime(written(tmp_path, nodes, CANARY))
        async with mesh.channel("shop", interceptors=[Passing()], using=using) as channel:
            assert b"node2" == await channel.unary_unary(GET)(b"", metadata=(("x-group", "beta"),))


@COLOURS
async def test_each_subset_has_its_own_metrics_and_circuits(colour, tmp_path):
    async with opened(colour, tmp_path, CANARY) as (channel, nodes, using):
        nodes[2].answer = nodes[2].fail
        buy = channel.unary_unary(BUY)

        async def beta() -> str:
            try:
                await buy(b"", metadata=(("x-group", "beta"),))
            except grpc.RpcError as error:
                return error.details() or ""
            return ""

        answers = [await beta() for _ in range(11)]

        assert "circuit open for /shop.v1.Shop/Buy at shop/v2, probes again in 1.0s" == answers[-1]
        assert b"node0" == await buy(b"")
    targets = {
        dict(series.attributes)["mesh.target"]
        for series in using.telemetry.snapshot()
        if series.instrument.name == "rpc.client.call.duration"
    }
    assert {"shop", "shop/v2"} == targets


async def test_the_gateways_calls_are_routed(tmp_path):
    async with running(3) as nodes:
        known = written(tmp_path, nodes, CANARY)

        def make(uri: str, arguments: ChannelArguments) -> grpc.aio.Channel:
            return grpc.aio.insecure_channel(uri, options=arguments)

        site = Site(resolve("shop", known), Runtime(known), make, native=True)
        direct = Direct(site.home, site.pick)
        outcomes = [
            await direct.unary(GET, b"", metadata=metadata) for metadata in ((), (("x-group", "beta"),))
        ]
        stream = await direct.open(LIST, b"", arity=Arity.UNARY_STREAM, metadata=(("x-group", "beta"),))
        streamed = [message async for message in stream]
        await site.close()
        await site.home.close()

    assert [b"node0", b"node2"] == [outcome.value for outcome in outcomes]
    assert [b"node2"] * 3 == streamed


@COLOURS
async def test_a_push_moves_calls_at_once(colour, tmp_path):
    async with opened(colour, tmp_path, CANARY) as (channel, _, using):
        get = channel.unary_unary(GET)
        assert b"node0" == await get(b"")

        using.reload(table("defaults: {route: {rules: [{to: [{subset: v1}]}]}}"))
        assert b"node1" == await get(b"")

        using.reload(PolicyTable())
        assert b"node0" == await get(b"", metadata=(("x-group", "beta"),))


@COLOURS
async def test_a_push_with_a_subset_that_is_not_there_changes_nothing(colour, tmp_path):
    async with opened(colour, tmp_path, CANARY) as (channel, _, using):
        get = channel.unary_unary(GET)
        await get(b"")

        with pytest.raises(ConfigError, match='"v3" is not a subset of shop'):
            using.reload(table("defaults: {route: {rules: [{to: [{subset: v3}]}]}}"))

        assert b"node2" == await get(b"", metadata=(("x-group", "beta"),))


@COLOURS
async def test_a_policy_may_require_that_calls_are_routed(colour, tmp_path):
    required = "defaults: {required: [route], route: {rules: [{to: [{subset: v1}]}]}}"
    async with opened(colour, tmp_path, CANARY) as (channel, nodes, using):
        using.reload(table(required))
        assert b"node1" == await channel.unary_unary(GET)(b"")

        async with coloured(colour, nodes[0].address, using=using) as plain:
            with pytest.raises(ConfigError, match='"route" must be enforced, but does nothing here'):
                await plain.unary_unary(GET)(b"")


@COLOURS
async def test_closing_the_channel_closes_its_subsets(colour, tmp_path):
    async with opened(colour, tmp_path, CANARY) as (channel, nodes, _):
        nodes[2].answer = nodes[2].hang
        hanging = channel.unary_unary(GET)(b"", metadata=(("x-group", "beta"),))
        await nodes[2].entered.wait()

        await channel.close()

        await until(nodes[2].cancelled.is_set)
        with pytest.raises(asyncio.CancelledError if colour is Colour.AIO else grpc.RpcError):
            await hanging
        with pytest.raises(grpc.aio.UsageError if colour is Colour.AIO else ValueError, match="closed"):
            await channel.unary_unary(GET)(b"", metadata=(("x-group", "beta"),))


async def test_threads_that_race_open_a_subset_once(tmp_path, monkeypatch):
    opened_to = []

    class Counted(site_sync.Site):
        def _open_subset(self, name):
            opened_to.append(name)
            time.sleep(0.05)  # long enough for every thread to be there
            return super()._open_subset(name)

    monkeypatch.setattr(channel_sync, "Site", Counted)
    async with opened(Colour.SYNC, tmp_path, CANARY) as (channel, _, _):
        get = channel.unary_unary(GET)
        answers = await asyncio.gather(*(get(b"", metadata=(("x-group", "beta"),)) for _ in range(4)))

    assert [b"node2"] * 4 == answers
    assert ["v2"] == opened_to


async def test_futures_and_interceptors_of_plain_grpc_are_routed(tmp_path):
    class Marking(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation, details, request):
            return continuation(details._replace(metadata=(("x-group", "beta"),)), request)

    async with running(3) as nodes:
        using = Runtime(written(tmp_path, nodes, CANARY))
        with mesh.sync.channel("shop", using=using) as channel:
            future = channel.unary_unary(GET).future(b"", metadata=(("x-group", "beta"),))
            assert b"node2" == await asyncio.to_thread(future.result)
        with mesh.sync.channel("shop", interceptors=[Marking()], using=using) as channel:
            assert b"node2" == await asyncio.to_thread(channel.unary_unary(GET), b"")


def test_an_address_has_no_subsets():
    assert {} == resolve("127.0.0.1:50051", None).subsets
