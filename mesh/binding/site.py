"""Everything a target is reached by: its channel, those of its subsets, and those that copies of requests are sent on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import grpc.aio

from mesh.binding.destination import Destination, Pick
from mesh.binding.mirror_aio import Copier
from mesh.binding.router import Router
from mesh.binding.runtime import Runtime
from mesh.binding.service_config import ChannelArguments, channel_arguments
from mesh.binding.target import Target, resolve
from mesh.call import Side
from mesh.placement import Placed

Open = Callable[[str, ChannelArguments], grpc.aio.Channel]
"""Opens a channel without interceptors, from what gRPC's resolver is given and the policy's arguments."""


class Site:
    """One target of a runtime, in one event loop. Subsets and targets of copies are opened when they are needed."""

    def __init__(
        self,
        target: Target,
        using: Runtime,
        open_channel: Open,
        *,
        native: bool = False,
        stages: Sequence[Placed] = (),
    ) -> None:
        """Open the target's own channel; `native` and `stages` are those of `Runtime.chains`."""
        self._target = target
        self._using = using
        self._open = open_channel
        self._native = native
        self._stages = stages
        self._closed = False
        self._copier = Copier(self._open_copies)
        chains = using.chains(
            Side.CLIENT,
            target.name,
            native=native,
            stages=stages,
            copier=self._copier,
            subsets=tuple(target.subsets) or None,
        )
        self.home = Destination(self._channel(target, target.uri), chains)
        self._router = Router(self.home, self._open_subset) if target.subsets else None

    @property
    def pick(self) -> Pick | None:
        """What chooses the destination of each call; None: there is only one."""
        return self._router

    async def close(self, grace: float | None = None) -> None:
        """Close all that is open beside the target's own channel."""
        self._closed = True
        async with asyncio.TaskGroup() as group:
            group.create_task(self._copier.close())
            for subset in () if self._router is None else self._router.opened:
                group.create_task(subset.close(grace))

    def _channel(self, target: Target, uri: str) -> grpc.aio.Channel:
        return self._open(uri, channel_arguments(self._using.policies.connection(target.services), uri))

    def _open_subset(self, name: str) -> Destination:
        if self._closed:
            raise grpc.aio.UsageError("Channel is closed.")
        chains = self._using.chains(
            Side.CLIENT,
            f"{self._target.name}/{name}",
            native=self._native,
            stages=self._stages,
            copier=self._copier,
            subsets=(),
        )
        return Destination(self._channel(self._target, self._target.subsets[name]), chains)

    def _open_copies(self, name: str) -> grpc.aio.Channel:
        target = resolve(name, self._using.environment)
        return self._channel(target, target.uri)

    def __repr__(self) -> str:
        return f"<Site {self._target.name}>"
