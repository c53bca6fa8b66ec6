"""A clock that jumps an hour forth and back between any two looks: every call ends, nothing leaks, nothing stays stuck."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import grpc
import grpc.aio
import pytest

import mesh
import mesh.sync
from mesh.binding.runtime import Runtime
from mesh.call import Arity
from mesh.chain import Chains
from tests.weather.invariant import Ledger, calm, taken, unsettled
from tests.weather.relay import HEDGE, METHODS, RETRY, Relay, quiet

HOUR = 3600.0


class Jumping:
    """Seconds that jump while they are told to."""

    def __init__(self) -> None:
        self.jumps = True
        self._random = random.Random(7)

    def __call__(self) -> float:
        now = time.monotonic()
        return now + self._random.choice((0.0, 0.0, HOUR, -HOUR)) if self.jumps else now


class Dizzy(Runtime):
    """A runtime all of whose chains look at one clock."""

    clock: Any

    def chains(self, *arguments: Any, **options: Any) -> Chains:
        made = super().chains(*arguments, **options)
        made.clock = self.clock
        return made


def dizzy(using: Runtime, clock: Jumping) -> Runtime:
    """Have a runtime that has opened nothing yet look at this clock."""
    using.__class__ = Dizzy
    using.clock = clock  # type: ignore[attr-defined]
    return using


@pytest.mark.parametrize("again", [RETRY, HEDGE], ids=["retry", "hedge"])
async def test_calls_under_a_clock_that_jumps(tmp_path, again):
    relay, clock = Relay(tmp_path, again), Jumping()
    for using in (relay.using, relay.front.using, relay.back.using):
        dizzy(using, clock)

    async def call(arity: Arity, request: bytes) -> type:
        try:
            async with asyncio.timeout(5):
                await relay.call(arity, request, wait_for_ready=True)
        except (grpc.RpcError, TimeoutError) as error:
            return type(error)
        except asyncio.CancelledError:
            # grpc.aio's own, where a server ends a call whose client is just closing its stream of requests.
            assert arity is Arity.STREAM_STREAM
            return asyncio.CancelledError
        return type(None)

    endings = []
    async with relay.running():
        for _ in range(20):
            for arity in Arity:
                ended = [call(arity, request) for request in (b"ok", b"flaky", b"down", b"ok")]
                endings += await asyncio.gather(*ended)
        clock.jumps = False
        await calm(lambda: relay.wrong)
        async with asyncio.timeout(5):
            for arity in Arity:
                await relay.call(arity)
        await calm(lambda: relay.wrong)

    assert TimeoutError not in endings
    assert type(None) in endings


async def test_threads_under_a_clock_that_jumps(tmp_path):
    relay, clock, ledger = Relay(tmp_path, HEDGE), Jumping(), Ledger()
    using = dizzy(quiet(relay.front.file), clock)

    def call(channel: Any, arity: Arity) -> None:
        method = getattr(channel, arity.value)(METHODS[arity])
        answer = method(
            iter([b"ok"]) if arity.request_streams else b"ok", timeout=5 * HOUR, wait_for_ready=True
        )
        if arity.response_streams:
            list(answer)

    def calls() -> int:
        passed = 0
        with mesh.sync.channel("front", using=using, stages=ledger.stages(client=True)) as channel:
            for _ in range(20):
                for arity in Arity:
                    try:
                        call(channel, arity)
                        passed += 1
                    except grpc.RpcError:
                        continue
            clock.jumps = False
            for arity in Arity:
                call(channel, arity)
        return passed

    async with relay.running():
        assert await asyncio.to_thread(calls) > 0
        await calm(lambda: taken(using) | unsettled(ledger))
