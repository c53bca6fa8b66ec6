"""How the engine's effects happen under asyncio, for calls with one response."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mesh.binding import race_aio
from mesh.call import Attempt, Outcome, Race
from mesh.engine import Flow


async def unary(
    flow: Flow,
    attempt: Callable[[Attempt], Awaitable[Outcome]],
    choose: Callable[[int], None] | None = None,
) -> Outcome:
    """Run the flow to its end; `choose` is told which attempt of a hedged call is the call's.

    Closing the flow in `finally` settles every stage when this task is cancelled.
    """
    try:
        effect = next(flow)
        while True:
            if type(effect) is Attempt:
                effect = flow.send(await attempt(effect))
            elif type(effect) is Race:
                return await race_aio.unary(flow, effect, attempt, choose)
            else:
                await asyncio.sleep(effect.seconds)  # type: ignore[union-attr]  # COMMIT answers OPEN, which unary never sends
                effect = flow.send(None)
    except StopIteration as stop:
        outcome: Outcome = stop.value
        return outcome
    finally:
        flow.close()
