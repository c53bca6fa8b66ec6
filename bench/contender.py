"""The process of one contender: started, warmed up and run by order, it accounts for its own CPU."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

import orjson

from bench import child, pace
from bench.serving import Calling, Serving


async def main(name: str, backends: Mapping[str, str]) -> None:
    started: Serving | Calling | pace.Call = await importlib.import_module(f"bench.contenders.{name}").start(
        backends
    )
    orders: dict[str, Any] = {"settle": child.settle, "mark": child.mark}
    if isinstance(started, Serving):
        await child.obey(started.address, orders)
        return
    call = started
    if isinstance(started, Calling):
        call, other = started.call, started

        async def mark() -> float:
            return await child.mark() + other.cpu()

        orders |= {"mark": mark}

    async def run(concurrency: int, rate: float, seconds: float) -> list[int]:
        return await pace.run(call, concurrency=concurrency, rate=rate, seconds=seconds)

    await child.obey("", orders | {"run": run}, end=started.end if isinstance(started, Calling) else None)


if __name__ == "__main__":
    child.run(main(sys.argv[1], orjson.loads(sys.argv[2])), measured=True)
