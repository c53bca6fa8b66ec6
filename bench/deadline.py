"""How exactly calls end at 300 ms on a backend that takes a second: by the mesh's policy, and by gRPC's own means.

The backend is in a process of its own. Calls go in waves of the three contenders in turn, so that a busy machine makes all
of them late alike.
"""

from __future__ import annotations

import asyncio
import collections
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import grpc
import grpc.aio

import mesh
from mesh.binding.runtime import Runtime
from mesh.policy import load
from mesh.v1 import config_pb2, policy_pb2

METHOD = "/bench.Slow/Get"
TIMEOUT = 0.3
CALLS, WAVE = 200, 20

Start = Callable[[], Any]


async def _get(request: bytes, context: Any) -> bytes:  # noqa: ARG001 - grpc's signature
    await asyncio.sleep(1.0)
    return b""


def _runtime() -> Runtime:
    limit = policy_pb2.Deadline()
    limit.default_timeout.FromMilliseconds(int(TIMEOUT * 1000))
    policies, _ = load(config_pb2.Policies(defaults=policy_pb2.Policy(deadline=limit)))
    return Runtime(policies=policies)


async def _serve(ready: Connection) -> None:
    server = grpc.aio.server()
    handlers = {"Get": grpc.unary_unary_rpc_method_handler(_get)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Slow", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    ready.send(port)
    await server.wait_for_termination()


def _backend(ready: Connection) -> None:
    asyncio.run(_serve(ready))


async def _call(start: Start) -> tuple[float, str]:
    begun = time.perf_counter()
    code = await start().code()
    return time.perf_counter() - begun, code.name


async def _measure(address: str) -> None:
    config = {"methodConfig": [{"name": [{}], "timeout": f"{TIMEOUT}s"}]}
    async with (
        mesh.channel(address, using=_runtime()) as meshed,
        grpc.aio.insecure_channel(address) as plain,
        grpc.aio.insecure_channel(address, [("grpc.service_config", json.dumps(config))]) as configured,
    ):
        contenders: dict[str, Start] = {
            "mesh.channel, policy": lambda: meshed.unary_unary(METHOD)(b""),
            "grpc.aio, timeout=": lambda: plain.unary_unary(METHOD)(b"", timeout=TIMEOUT),
            "grpc.aio, service config": lambda: configured.unary_unary(METHOD)(b""),
        }
        for channel in (meshed, plain, configured):
            await channel.channel_ready()
        found: dict[str, list[tuple[float, str]]] = collections.defaultdict(list)
        for _ in range(CALLS // WAVE):
            for name, start in contenders.items():
                async with asyncio.TaskGroup() as group:
                    wave = [group.create_task(_call(start)) for _ in range(WAVE)]
                found[name] += [task.result() for task in wave]
    print(
        f"{f'{CALLS} calls, ms off {TIMEOUT * 1000:.0f}':<27}{'least':>9}{'p50':>9}{'p99':>9}{'most':>9}  statuses"
    )
    for name, calls in found.items():
        off = sorted((seconds - TIMEOUT) * 1000 for seconds, _ in calls)
        p99 = statistics.quantiles(off, n=100)[98]
        statuses = collections.Counter(code for _, code in calls)
        print(
            f"{name:<27}{off[0]:>+9.1f}{statistics.median(off):>+9.1f}{p99:>+9.1f}{off[-1]:>+9.1f}  "
            + ", ".join(f"{code} {count}" for code, count in statuses.items())
        )


def main() -> None:
    ready, told = multiprocessing.Pipe()
    # Spawned: forking after grpc is initialised is unsafe.
    backend = multiprocessing.get_context("spawn").Process(target=_backend, args=(told,), daemon=True)
    backend.start()
    try:
        asyncio.run(_measure(f"127.0.0.1:{ready.recv()}"))
    finally:
        backend.terminate()
        backend.join()


if __name__ == "__main__":
    main()
