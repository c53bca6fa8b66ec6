"""The process of one contender: started, warmed up and run by order, it accounts for its own CPU."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from bench import child, pace
from bench.serving import Calling, Serving


async def main(name: str, backends: Mapping[str, str]) -> None:
    started: Serving | Calling | pace.Call = await importlib.import_module(f"bench.contenders.{name}").start(
        backends
    )
    orders: dict[str, Any] = {"settle": child.settle, "mark": child.mark}
    address, end = "", None
    if isinstance(started, Serving | Calling):
        end = started.end
        if started.cpu is not None:
            orders["mark"] = _mark_with(started.cpu)
    if isinstance(started, Serving):
        address = started.address
    else:
        call = started.call if isinstance(started, Calling) else started

        async def run(concurrency: int, rate: float, seconds: float) -> list[int]:
            return await pace.run(call, concurrency=concurrency, rate=rate, seconds=seconds)

        orders["run"] = run
    await child.obey(address, orders, end=end)


def _mark_with(others: Callable[[], float]) -> Callable[[], Awaitable[float]]:
    async def mark() -> float:
        return await child.mark() + others()

    return mark


if __name__ == "__main__":
    child.run(main(sys.argv[1], orjson.loads(sys.argv[2])), measured=True)
