"""What a target is reached by under asyncio: channels of grpc.aio, and how they close."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import grpc.aio

from mesh.binding import site
from mesh.binding.mirror_aio import Copier
from mesh.binding.runtime import Runtime
from mesh.binding.target import Target
from mesh.call import Colour
from mesh.placement import Placed


class Site(site.Site):
    """One target of a runtime, in one event loop."""

    _colour = Colour.AIO

    def __init__(
        self,
        target: Target,
        using: Runtime,
        open_channel: site.Open,
        *,
        native: bool = False,
        stages: Sequence[Placed] = (),
    ) -> None:
        self._copier = Copier(self._open_copies)
        super().__init__(target, using, open_channel, self._copier, native=native, stages=stages)

    def _closed_error(self) -> Exception:
        return grpc.aio.UsageError("Channel is closed.")

    async def close(self, grace: float | None = None) -> None:
        """Close all that is open beside the target's own channel."""
        subsets = self._stop()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._copier.close())
            for subset in subsets:
                group.create_task(subset.close(grace))
