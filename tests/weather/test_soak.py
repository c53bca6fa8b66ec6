"""A fleet of three under every feature and every fault at once: what holds after each storm holds after the last one.

Runs for MESH_SOAK seconds: two minutes in CI, ten seconds elsewhere. The order of faults and calls is that of MESH_SEED.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import pathlib
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio
import pytest

import mesh
import mesh.sync
from mesh.binding.runtime import Runtime
from mesh.call import Arity
from mesh.config import environment as environments
from mesh.policy.table import PolicyTable, load
from tests.weather.backend import free_port
from tests.weather.invariant import Ledger, calm, taken, unsettled
from tests.weather.relay import METHODS, SERVICE, Node, quiet

SECONDS: Final = float(os.environ.get("MESH_SOAK") or (120 if os.environ.get("CI") else 10))
SEED: Final = int(os.environ.get("MESH_SEED") or 20261123)
STORM: Final = 3.0
"""Seconds between two lulls, in which the invariants are checked."""
PACE: Final = 150
"""Calls a second from the event loop; the two threads make as many again at most."""
STUCK: Final = 6.0
"""Every deadline is shorter than this."""

ENVIRONMENT: Final = """
services:
  - {{name: fleet, endpoints: {all}, subsets: [{{name: canary, endpoints: {last}}}]}}
  - {{name: shadow, endpoints: {last}}}
policies:
  defaults: {{
    deadline: {{default_timeout: 1s, max_timeout: 2s, hop_reserve: 0.01s, min_attempt_time: 0.002s}},
    retry: {{scope: RETRY_SCOPE_ALL, attempt_timeout: 0.3s, backoff: {{base: 0.01s}}, budget: {{ratio: 0.5}}}},
    circuit_breaker: {{consecutive_failures: {failures}, slow_call_ratio: 0.9, slow_call_duration: 0.2s, open_for: 0.1s, max_open_for: 0.4s, half_open_probes: 2}},
    client_concurrency: {{max_in_flight: {limit}, adaptive: {{initial_in_flight: 20}}}},
    server_concurrency: {{max_in_flight: 30, scope: CONCURRENCY_SCOPE_TARGET, adaptive: {{algorithm: ADAPTIVE_ALGORITHM_AIMD, initial_in_flight: 20}}}},
    rate_limit: {{limits: [{{per_second: 150, key: RATE_KEY_PRINCIPAL}}, {{per_second: 300}}]}},
    metrics: {{messages: true}}, access_log: {{}}, priority: {{}}, validation: {{}},
    fault: {{delay: {{duration: 0.02s, percent: 3}}, abort: {{code: STATUS_CODE_UNAVAILABLE, percent: 2}}, by_request: true}},
    mirror: {{target: shadow, percent: 20, max_in_flight: 20, timeout: 0.5s}},
    stream: {{idle_timeout: 0.4s, max_age: 1.5s}},
    message_limit: {{max_request_bytes: 1000, max_response_bytes: 1000}},
    connection: {{reconnect: {{initial_backoff: 0.1s, max_backoff: 0.2s}}, outlier_detection: {{interval: 0.5s}}}}
  }}
  services:
    - service: {service}
      policy: {{route: {{rules: [{{to: [{{subset: canary, weight: 1}}, {{weight: 4}}]}}]}}}}
      methods:
        - {{method: Ask, policy: {{hedge: {{scope: RETRY_SCOPE_ALL, delay: {delay}s, max_attempts: 3}}, fallback: {{method: AskElse}}}}}}
        - {{method: Watch, policy: {{hedge: {{scope: RETRY_SCOPE_ALL, percentile: 90, minimum_calls: 20}}}}}}
        - {{method: Send, policy: {{fallback: {{method: SendElse}}}}}}
"""  # fmt: skip

Mood = Callable[[bytes, Any], Awaitable[bytes]]


class Weather:
    """What the servers do, changed by whoever holds the dice."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.moods: tuple[Mood, ...] = (self.fine, self.slow, self.hanging, self.failing, self.raising)

    async def fine(self, request: bytes, context: Any) -> bytes:
        await asyncio.sleep(0.002)
        return request

    async def slow(self, request: bytes, context: Any) -> bytes:
        await asyncio.sleep(self._dice.uniform(0.02, 0.4))
        return request

    async def hanging(self, request: bytes, context: Any) -> bytes:
        await asyncio.Event().wait()
        return request

    async def failing(self, request: bytes, context: Any) -> bytes:
        code = self._dice.choice([code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
        pushback = self._dice.choice(("1", "-1", "50", "junk"))
        await context.abort(code, "foul weather", (("grpc-retry-pushback-ms", pushback),))
        return request

    async def raising(self, request: bytes, context: Any) -> bytes:
        raise self._dice.choice((ValueError("foul"), asyncio.CancelledError(), RecursionError(), Exception()))


class Fleet:
    """Three servers, a client of each API, and the faults."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.dice = random.Random(SEED)
        self.weather = Weather(random.Random(SEED + 1))
        self.addresses = [f"127.0.0.1:{free_port()}" for _ in range(3)]
        self.file = folder / "mesh.yaml"
        self.tables = [self._table(number) for number in range(4)]
        self.using = quiet(self.file)
        self.nodes = [Node("fleet", self.file) for _ in self.addresses]
        self.ledgers = [Ledger(), Ledger(), *(node.ledger for node in self.nodes)]
        self.endings: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.stuck: list[str] = []
        self.channel: Any = None
        self.threads: Any = None

    def _table(self, number: int) -> PolicyTable:
        last = [self.addresses[-1]]
        text = ENVIRONMENT.format(
            all=self.addresses, last=last, service=SERVICE,
            failures=5 + number, limit=60 + number, delay=0.02 * (1 + number % 2),
        )  # fmt: skip
        self.file.write_text(text)
        made, problems = load(environments.require(self.file).proto.policies)
        assert [] == problems
        return made

    @property
    def runtimes(self) -> list[Runtime]:
        return [self.using, *(node.using for node in self.nodes)]

    @property
    def wrong(self) -> dict[str, Any]:
        return taken(*self.runtimes) | unsettled(*self.ledgers)

    @contextlib.asynccontextmanager
    async def running(self) -> Any:
        for node, address in zip(self.nodes, self.addresses, strict=True):
            node.act = self.weather.fine
            await node.start(address)
        aio, sync = (ledger.stages(client=True) for ledger in self.ledgers[:2])
        try:
            with mesh.sync.channel("fleet", using=self.using, stages=sync) as self.threads:
                async with mesh.channel("fleet", using=self.using, stages=aio) as self.channel:
                    yield
        finally:
            for node in self.nodes:
                await node.stop()

    # Calls

    def _message(self, dice: random.Random, arity: Arity) -> Any:
        message = dice.choice((b"x", b"x" * 500, b"x" * 2_000) if dice.random() < 0.05 else (b"x",))
        return [message] * dice.randrange(1, 4) if arity.request_streams else message

    def _options(self, dice: random.Random) -> dict[str, Any]:
        metadata = [("mesh-priority", dice.choice(("low", "normal", "high", "?"))), ("idempotency-key", "k")]
        if dice.random() < 0.03:
            metadata.append(("mesh-fault", dice.choice(("delay=0.05s", "abort=INTERNAL", "abort=?"))))
        return {
            "timeout": dice.choice((None, 0.001, 0.05, 0.5, 2.0)),
            "metadata": tuple(metadata),
            "wait_for_ready": dice.choice((None, True, False)),
        }

    async def call(self) -> None:
        """Make one call in one of the ways there are, and note how it ended."""
        dice = self.dice
        arity = dice.choice(tuple(Arity))
        way = dice.choice(("read", "read", "read", "cancel", "drop", "peek"))
        call = getattr(self.channel, arity.value)(METHODS[arity])(
            self._message(dice, arity), **self._options(dice)
        )
        patience = dice.random() * 0.05 if way == "cancel" else STUCK
        if way == "drop":
            self.endings["dropped"] += 1
            return
        try:
            async with asyncio.timeout(patience):
                if not arity.response_streams:
                    await call
                elif way == "peek":
                    await call.read()
                    call.cancel()
                else:
                    async for _ in call:
                        pass
            self.endings["ok"] += 1
        except grpc.RpcError as error:
            self.endings[error.code().name.lower()] += 1
        except TimeoutError:
            self.endings["cancelled by us"] += 1
            if way != "cancel":
                self.stuck.append(f"{arity} {way} {call!r}")
        except asyncio.CancelledError:
            # grpc.aio's own, where a server ends a stream whose client is just writing to it.
            assert arity is Arity.STREAM_STREAM, call
            self.endings["cancelled by grpc"] += 1

    async def _paced(self, until: float) -> None:
        async with asyncio.TaskGroup() as group:
            while time.monotonic() < until:
                group.create_task(self.call())
                await asyncio.sleep(self.dice.expovariate(PACE))

    def thread(self, number: int, until: float) -> None:
        """Make calls of the synchronous API, one after the other."""
        dice = random.Random(SEED + 10 + number)
        while time.monotonic() < until:
            arity = dice.choice(tuple(Arity))
            method = getattr(self.threads, arity.value)(METHODS[arity])
            message = self._message(dice, arity)
            request = iter(message) if arity.request_streams else message
            began = time.monotonic()
            try:
                if arity.response_streams:
                    answer = method(request, **self._options(dice))
                    next(answer) if dice.random() < 0.3 else list(answer)
                elif dice.random() < 0.3:
                    future = method.future(request, **self._options(dice))
                    time.sleep(dice.random() * 0.02)
                    future.cancel()
                else:
                    method(request, **self._options(dice))
                ended = "ok"
            except grpc.RpcError as error:
                ended = error.code().name.lower()
            except (StopIteration, grpc.FutureCancelledError):
                ended = "cancelled by us"
            self.endings[ended] += 1
            if time.monotonic() - began > STUCK:
                self.stuck.append(f"thread {arity}")
            time.sleep(dice.expovariate(PACE / 2))

    # Faults

    async def _restart(self, index: int, grace: float | None) -> None:
        node = self.nodes[index]
        await node.stop(grace)
        await asyncio.sleep(self.dice.uniform(0.0, 0.3))
        await node.start(self.addresses[index])

    async def _foul(self, until: float) -> None:
        """Do something to the fleet every so often."""
        while time.monotonic() < until:
            await asyncio.sleep(self.dice.uniform(0.05, 0.4))
            fault = self.dice.choice(("mood", "mood", "push", "kill", "goaway"))
            index = self.dice.randrange(3)
            self.faults[fault] += 1
            if fault == "mood":
                self.nodes[index].act = self.dice.choice(self.weather.moods)
            elif fault == "push":
                using = self.dice.choice(self.runtimes)
                await asyncio.to_thread(using.reload, self.dice.choice(self.tables))
            else:
                await self._restart(index, None if fault == "kill" else 0.1)

    async def storm(self, seconds: float) -> None:
        """Call and fail for a while, then clear up and wait until all calls have ended."""
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            group.create_task(self._foul(until))
            group.create_task(self._paced(until))
            for number in range(2):
                group.create_task(asyncio.to_thread(self.thread, number, until))
        for node in self.nodes:
            node.act = self.weather.fine


def footprint() -> tuple[int, int]:
    """Return how many objects there are, and the megabytes of the process at its largest."""
    gc.collect()
    return len(gc.get_objects()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 120)
async def test_soak(tmp_path, monkeypatch, capsys):
    # It reports every handler that raises, and pytest keeps what it reports.
    monkeypatch.setattr(logging.getLogger("grpc._cython.cygrpc"), "disabled", True)
    fleet = Fleet(tmp_path)
    began = time.monotonic()
    objects: list[int] = []
    tasks: list[int] = []
    megabytes = 0
    async with fleet.running():
        while not objects or time.monotonic() - began < SECONDS:
            await fleet.storm(STORM)
            # Calls that were dropped end by their deadlines.
            await calm(lambda: fleet.wrong, 10)
            assert [] == fleet.stuck
            found, megabytes = footprint()
            objects.append(found)
            tasks.append(len(asyncio.all_tasks()))

    calls = fleet.endings.total()
    summary = (
        f"soak: seed {SEED}, {calls} calls in {time.monotonic() - began:.0f} s, {dict(fleet.endings)}, "
        f"faults {dict(fleet.faults)}, objects {objects[0]} to {objects[-1]}, at most {max(tasks)} tasks idle, "
        f"{megabytes} MB at most\n"
    )
    with capsys.disabled():
        sys.stdout.write(summary)
    assert fleet.endings["ok"] > calls / 10
    assert all(ledger.admitted["call"] for ledger in fleet.ledgers)
    # Each server has a task for every method it waits for, and each connection's health is watched.
    assert max(tasks) < 100
    # What is kept for each call would be thousands; the first storm fills every buffer there is.
    assert objects[-1] < objects[0] + 5_000
