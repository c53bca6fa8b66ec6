"""Our gateway, packaged server and all, from a mesh.yaml with defaults: every stage on, access log included.

With defaults nobody collects spans, so none is begun; the trace context of callers is read and handed on.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench import stubs
from bench.serving import Serving
from gateway.load import Source
from gateway.reservation import reserve
from gateway.worker import Job, Worker
from mesh.config.address import Address


def _write(config: Path, backends: Mapping[str, str]) -> None:
    """Write what a user would: where each service is, and a gateway with defaults."""
    lines = [f'descriptors: ["{stubs.DESCRIPTORS}"]', "services:"]
    for service, address in backends.items():
        lines += [
            f"  - name: {service.lower()}",
            f"    serves: [store.v1.{service}]",
            f'    endpoints: ["{address}"]',
        ]
    config.write_text("\n".join([*lines, "gateway: {}", ""]))


async def start(backends: Mapping[str, str]) -> Serving:
    held = reserve(Address("127.0.0.1", 0))
    ready = asyncio.Event()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "mesh.yaml")
        _write(config, backends)
        worker = Worker(Job(source=Source(config=str(config)), held=held.socket))
        serving = asyncio.ensure_future(worker.run(lambda _: ready.set()))
        await asyncio.wait(
            {asyncio.ensure_future(ready.wait()), serving}, return_when=asyncio.FIRST_COMPLETED
        )
    if serving.done():
        await serving
    return Serving(str(held.address), (held, serving))
