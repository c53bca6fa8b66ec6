"""Our gateway, packaged server and all, from a mesh.yaml with defaults: every stage on, access log included.

With defaults nobody collects spans, so none is begun; the trace context of callers is read and handed on.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench.contenders.configuration import write
from bench.serving import Serving
from gateway.load import Source
from gateway.reservation import reserve
from gateway.worker import Job, Worker
from mesh.config.address import Address


async def start(backends: Mapping[str, str]) -> Serving:
    held = reserve(Address("127.0.0.1", 0))
    ready = asyncio.Event()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "mesh.yaml")
        write(config, backends)
        worker = Worker(Job(source=Source(config=str(config)), held=held.socket))
        serving = asyncio.ensure_future(worker.run(lambda _: ready.set()))
        await asyncio.wait(
            {asyncio.ensure_future(ready.wait()), serving}, return_when=asyncio.FIRST_COMPLETED
        )
    if serving.done():
        await serving
    return Serving(str(held.address), (held, serving))
