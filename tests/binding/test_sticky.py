"""Sticky sessions by gRPC's own ring hash: a user stays at one endpoint, and only those move whose endpoint went."""

from __future__ import annotations

import collections

import mesh
from mesh.binding.service_config import channel_arguments, service_config
from mesh.policy.connection import ConnectionPolicy, LoadBalancing
from mesh.policy.table import PolicyTable

from .node import GET, Node, running, runtime

POLICIES = """
defaults:
  connection: {load_balancing: LOAD_BALANCING_RING_HASH, hash_header: x-user}
"""
USERS = [f"user-{number}" for number in range(50)]


async def homes(channel, rounds: int) -> dict[str, set[str]]:
    """Where each user's calls were answered."""
    get, seen = channel.unary_unary(GET), collections.defaultdict(set)
    for _ in range(rounds):
        for user in USERS:
            answer = await get(b"", metadata=(("x-user", user),), timeout=10, wait_for_ready=True)
            seen[user].add(answer.decode())
    return dict(seen)


async def open_at(nodes: list[Node], rounds: int) -> dict[str, set[str]]:
    async with mesh.channel([node.address for node in nodes], using=runtime(POLICIES)) as channel:
        return await homes(channel, rounds)


async def test_each_user_stays_at_one_endpoint_and_all_endpoints_have_users():
    async with running(3) as nodes:
        seen = await open_at(nodes, 20)

    assert {1} == {len(answers) for answers in seen.values()}
    assert {"node0", "node1", "node2"} == set().union(*seen.values())


async def test_an_endpoint_taken_from_the_list_moves_its_own_users_only():
    async with running(3) as nodes:
        before, after = await open_at(nodes, 1), await open_at(nodes[:2], 1)

    assert {user for user in USERS if before[user] == {"node2"}} == {
        user for user in USERS if before[user] != after[user]
    }


async def test_an_endpoint_that_dies_moves_its_own_users_only():
    async with (
        running(3) as nodes,
        mesh.channel([node.address for node in nodes], using=runtime(POLICIES)) as channel,
    ):
        before = await homes(channel, 1)
        await nodes[2].stop()
        after = await homes(channel, 2)

    assert {1} == {len(answers) for answers in after.values()}
    assert {user for user in USERS if before[user] == {"node2"}} == {
        user for user in USERS if before[user] != after[user]
    }


async def test_requests_without_the_metadata_go_anywhere():
    async with (
        running(3) as nodes,
        mesh.channel([node.address for node in nodes], using=runtime(POLICIES)) as channel,
    ):
        get = channel.unary_unary(GET)
        seen = {await get(b"", timeout=10, wait_for_ready=True) for _ in range(60)}

    assert len(seen) > 1


def test_the_core_is_told_to_take_the_header():
    environ: dict[str, str] = {}

    channel_arguments(ConnectionPolicy(), environ=environ)
    assert {} == environ

    channel_arguments(sticky(), environ=environ)
    assert {"GRPC_EXPERIMENTAL_RING_HASH_SET_REQUEST_HASH_KEY": "true"} == environ


def sticky() -> ConnectionPolicy:
    return ConnectionPolicy(load_balancing=LoadBalancing.RING_HASH, hash_header="x-user")


def test_each_endpoint_has_as_many_places_however_many_there_are():
    (balancing,) = service_config(sticky(), 40)["loadBalancingConfig"]

    assert {
        "ring_hash_experimental": {"requestHashHeader": "x-user", "minRingSize": 5120, "maxRingSize": 5120}
    } == balancing
    uri = "ipv4:" + ",".join(f"10.0.0.{number}:80" for number in range(40))
    assert 5120 == dict(channel_arguments(sticky(), uri, {}))["grpc.lb.ring_hash.ring_size_cap"]


def test_where_names_resolve_to_is_not_known_beforehand():
    (balancing,) = service_config(sticky())["loadBalancingConfig"]

    assert {"ring_hash_experimental": {"requestHashHeader": "x-user"}} == balancing
    assert PolicyTable().connection().hash_header == ""
