"""Our gateway, packaged server and all, from a mesh.yaml with defaults: every stage on, access log included."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import stubs
from bench.contenders import tracing
from gateway.load import Source
from gateway.server import reserve
from gateway.worker import Job, Worker
from mesh.config.address import Address


def _environment(backends: Mapping[str, str]) -> str:
    lines = [f'descriptors: ["{stubs.DESCRIPTORS}"]', "services:"]
    for service, address in backends.items():
        lines += [
            f"  - name: {service.lower()}",
            f"    serves: [store.v1.{service}]",
            f'    endpoints: ["{address}"]',
        ]
    return "\n".join([*lines, "gateway: {}", ""])


async def start(backends: Mapping[str, str]) -> str:
    tracing.install()
    held = reserve(Address("127.0.0.1", 0))
    ready = asyncio.Event()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "mesh.yaml")
        config.write_text(_environment(backends))
        worker = Worker(Job(source=Source(config=str(config)), listen=held.address))
        serving = asyncio.ensure_future(worker.run(lambda _: ready.set()))
        await asyncio.wait(
            {asyncio.ensure_future(ready.wait()), serving}, return_when=asyncio.FIRST_COMPLETED
        )
    if serving.done():
        await serving
    _KEPT.extend((held, serving))
    return str(held.address)


# The event loop holds tasks weakly, and the reservation holds the port.
_KEPT: list[Any] = []
