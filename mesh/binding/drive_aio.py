"""How the engine's effects happen under asyncio, for calls with one response."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mesh.call import Attempt, Outcome
from mesh.engine import Flow


async def unary(
    flow: Flow,
    attempt: Callable[[Attempt], Awaitable[Outcome]],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Outcome:
    """Run the flow to its end. Closing it in `finally` settles every stage when this task is cancelled."""
    try:
        effect = next(flow)
        while True:
            if type(effect) is Attempt:
                effect = flow.send(await attempt(effect))
            else:
                await sleep(effect.seconds)  # type: ignore[union-attr]  # COMMIT answers OPEN, which unary never sends
                effect = flow.send(None)
    except StopIteration as stop:
        outcome: Outcome = stop.value
        return outcome
    finally:
        flow.close()
