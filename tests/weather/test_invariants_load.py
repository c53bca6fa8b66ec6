"""Ten thousand calls at once, pushes of policies every 10 ms, and thousands of calls of all kinds: all are accounted for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
from collections import Counter
from concurrent import futures
from typing import Any

import grpc
import grpc.aio
import pytest

import mesh
import mesh.sync
from mesh.binding.runtime import Runtime
from mesh.call import Arity
from mesh.policy.table import PolicyTable
from mesh.telemetry import instruments
from tests.policy.test_table import table
from tests.weather.invariant import Ledger, calm, growth, taken, unsettled
from tests.weather.relay import HEDGE, METHODS, RETRY, Relay

pytestmark = pytest.mark.slow

MANY = 10_000
ASK = METHODS[Arity.UNARY_UNARY]


def runtime(text: str) -> Runtime:
    return Runtime(policies=table(f"defaults: {{{text}}}"))


def count(using: Runtime, instrument: Any) -> float:
    values = [series.value for series in using.telemetry.snapshot() if series.instrument is instrument]
    return sum(getattr(value, "total", value) for value in values)


@pytest.mark.parametrize("limited", ["client", "server"])
async def test_ten_thousand_calls_at_once_on_one_channel(tmp_path, limited):
    """One side lets a thousand through and refuses the others at once; those that are in are answered."""
    limits = {"client": 20_000, "server": 20_000, limited: 1_000}
    text = ", ".join(f"{side}_concurrency: {{max_in_flight: {most}}}" for side, most in limits.items())
    relay = Relay(tmp_path)
    text += ", deadline: {enabled: false}"  # how long it takes says how busy the machine is
    relay.front.using, relay.using = runtime(text), runtime(text)
    opened = asyncio.Event()

    async def act(request: bytes, context: Any) -> bytes:
        await opened.wait()
        return request

    relay.back.act = relay.front.act = act
    endings: Counter[Any] = Counter()

    async def call(method: Any) -> None:
        try:
            endings[await method(b"ok")] += 1
        except grpc.RpcError as error:
            endings[error.code()] += 1

    await relay.front.start(relay.addresses[0])
    channel = mesh.channel(relay.addresses[0], using=relay.using, stages=relay.ledger.stages(client=True))
    try:
        method = channel.unary_unary(ASK)
        async with asyncio.timeout(90), asyncio.TaskGroup() as group:
            for _ in range(MANY):
                group.create_task(call(method))
            await calm(lambda: endings.total() < MANY - 1_000, 80)
            opened.set()
        await calm(
            lambda: taken(relay.using, relay.front.using) | unsettled(relay.ledger, relay.front.ledger)
        )
    finally:
        await channel.close()
        await relay.front.stop()

    # gRPC's core itself cancels what a server has not taken up when more than 1,000 to 3,000 wait
    # (grpc.server.max_pending_requests): those calls never reach the mesh.
    dropped = endings.pop(grpc.StatusCode.CANCELLED, 0)
    assert {b"ok": 1_000, grpc.StatusCode.RESOURCE_EXHAUSTED: MANY - 1_000 - dropped} == endings
    assert not dropped or limited == "server"
    assert MANY == count(relay.using, instruments.CLIENT_CALL_DURATION)
    assert 2 * MANY == relay.ledger.admitted["call"]
    assert (1_000 if limited == "client" else MANY - dropped) == count(
        relay.front.using, instruments.SERVER_CALL_DURATION
    )


async def test_ten_thousand_calls_from_64_threads(tmp_path):
    relay = Relay(tmp_path)
    relay.front.using = runtime("server_concurrency: {max_in_flight: 32}")
    using, ledger = runtime("client_concurrency: {max_in_flight: 48}"), Ledger()
    endings: Counter[Any] = Counter()
    lock = threading.Lock()

    def calls(method: Any, number: int) -> None:
        mine: Counter[Any] = Counter()
        for _ in range(number):
            try:
                mine[method(b"ok", timeout=30, wait_for_ready=True)] += 1
            except grpc.RpcError as error:
                mine[error.code()] += 1
        with lock:
            endings.update(mine)

    def race() -> None:
        with (
            mesh.sync.channel(relay.addresses[0], using=using, stages=ledger.stages(client=True)) as channel,
            futures.ThreadPoolExecutor(64) as pool,
        ):
            method = channel.unary_unary(ASK)
            shares = [MANY // 64 + (number < MANY % 64) for number in range(64)]
            for done in [pool.submit(calls, method, share) for share in shares]:
                done.result(timeout=100)

    await relay.front.start(relay.addresses[0])
    try:
        await asyncio.to_thread(race)
        await calm(lambda: taken(using, relay.front.using) | unsettled(ledger, relay.front.ledger))
    finally:
        await relay.front.stop()

    assert {b"ok", grpc.StatusCode.RESOURCE_EXHAUSTED} == set(endings)
    assert MANY == endings.total() == count(using, instruments.CLIENT_CALL_DURATION)
    assert 2 * MANY == ledger.admitted["call"]


def pushes() -> list[PolicyTable]:
    """Return policies that switch every feature on, off and to other values."""
    return [
        table(f"defaults: {{{text}, circuit_breaker: {{consecutive_failures: 3, open_for: 60s, max_open_for: 60s}}}}")
        for text in (
            RETRY.strip(),
            HEDGE.strip(),
            f"{HEDGE.strip()}, client_concurrency: {{max_in_flight: 300, adaptive: {{}}}}, stream: {{idle_timeout: 5s}}",
            "rate_limit: {limits: [{per_second: 100000}]}, metrics: {enabled: false}, trace: {enabled: false}",
            "server_concurrency: {max_in_flight: 500}, priority: {}, fault: {delay: {duration: 0.001s}}",
            "server_concurrency: {max_in_flight: 600, adaptive: {}}, message_limit: {max_request_bytes: 1000}",
            "deadline: {enabled: false}, load_report: {enabled: false}, fallback: {codes: [STATUS_CODE_ABORTED], method: AskElse}",
        )
    ]  # fmt: skip


async def test_everything_changes_every_10_ms_under_load(tmp_path):
    """No call fails, and what the policies never change keeps its state: a circuit that is open stays open."""
    tables = pushes()
    relay = Relay(tmp_path)
    relay.using, relay.front.using = Runtime(policies=tables[0]), Runtime(policies=tables[0])
    done, calls, reached = False, 0, 0
    dead = "/weather.v1.Relay/Dead"

    async def load(arity: Arity) -> None:
        nonlocal calls
        while not done:
            assert (await relay.call(arity))[0] == b"ok"
            calls += 1

    await relay.front.start(relay.addresses[0])
    nowhere = mesh.channel("127.0.0.1:1", using=relay.using)
    relay.channel = mesh.channel(
        relay.addresses[0], using=relay.using, stages=relay.ledger.stages(client=True)
    )
    try:
        for _ in range(3):
            with pytest.raises(grpc.RpcError):
                await nowhere.unary_unary(dead)(b"")
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for arity in Arity:
                group.create_task(load(arity))
                group.create_task(load(arity))
            for push in range(200):
                # From another thread, as the watcher does it.
                await asyncio.to_thread(relay.using.reload, tables[push % len(tables)])
                await asyncio.to_thread(relay.front.using.reload, tables[(push + 3) % len(tables)])
                with pytest.raises(grpc.RpcError) as caught:
                    await nowhere.unary_unary(dead)(b"")
                reached += "circuit open" not in str(caught.value.details())
                await asyncio.sleep(0.01)
            done = True
        await calm(
            lambda: taken(relay.using, relay.front.using) | unsettled(relay.ledger, relay.front.ledger)
        )
    finally:
        done = True
        await relay.channel.close()
        await nowhere.close()
        await relay.front.stop()

    assert 0 == reached
    assert calls > 500


@pytest.mark.parametrize("again", [RETRY, HEDGE], ids=["retry", "hedge"])
async def test_memory_is_flat(tmp_path, again, monkeypatch):
    """Calls that are answered, fail, are tried again, cancelled and dropped leave nothing behind."""
    # It reports every handler that raises, and pytest keeps what it reports.
    monkeypatch.setattr(logging.getLogger("grpc._cython.cygrpc"), "disabled", True)
    relay, mine = Relay(tmp_path, again), random.Random(1)

    async def one(arity: Arity, request: bytes) -> None:
        with contextlib.suppress(grpc.RpcError, TimeoutError):
            async with asyncio.timeout(None if request != b"hang" else mine.random() * 0.01):
                await relay.call(arity, request)

    async def batch() -> None:
        for _ in range(10):
            requests = (b"ok", b"flaky", b"down", b"hang")
            await asyncio.gather(*(one(arity, request) for arity in Arity for request in requests))
        await calm(lambda: relay.wrong)
        # Lines of the access log wait for their writer: they are not left behind.
        for side in (relay.using, relay.front.using, relay.back.using):
            side.telemetry.log.flush()

    async with relay.running():
        grown = await growth(batch)

    # 160 calls with another one inside: one object kept of each would be more.
    assert grown < 20_000
