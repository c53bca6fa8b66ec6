"""Everything a target is reached by: its channel, those of its subsets, and those that copies of requests are sent on.

Neither aio nor sync: channels are opened by whoever knows which, and what copies travel on are channels as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mesh.binding.destination import Destination, Pick
from mesh.binding.router import Router
from mesh.binding.runtime import Runtime
from mesh.binding.service_config import ChannelArguments, channel_arguments
from mesh.binding.target import Target, resolve
from mesh.call import Colour, Side
from mesh.placement import Placed
from mesh.stage.copier import Copier

Open = Callable[[str, ChannelArguments], Any]
"""Opens a channel without interceptors, from what gRPC's resolver is given and the policy's arguments."""


class Site:
    """One target of a runtime. Subsets and targets of copies are opened when they are needed."""

    _colour: Colour

    def __init__(
        self,
        target: Target,
        using: Runtime,
        open_channel: Open,
        copier: Copier,
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
        self._sender = copier
        self.home = self._destination(target.uri, target.name, tuple(target.subsets) or None)
        self._router = Router(self.home, self._open_subset) if target.subsets else None

    @property
    def pick(self) -> Pick | None:
        """What chooses the destination of each call; None: there is only one."""
        return self._router

    def _closed_error(self) -> Exception:
        """Return what grpc raises for calls on a channel that is closed."""
        raise NotImplementedError

    def _stop(self) -> tuple[Destination, ...]:
        """Open nothing any more; return the subsets that are open."""
        self._closed = True
        return () if self._router is None else self._router.opened

    def _destination(self, uri: str, name: str, subsets: tuple[str, ...] | None) -> Destination:
        chains = self._using.chains(
            Side.CLIENT,
            name,
            colour=self._colour,
            native=self._native,
            stages=self._stages,
            copier=self._sender,
            subsets=subsets,
        )
        return Destination(self._channel(self._target, uri), chains)

    def _channel(self, target: Target, uri: str) -> Any:
        return self._open(uri, channel_arguments(self._using.policies.connection(target.services), uri))

    def _open_subset(self, name: str) -> Destination:
        if self._closed:
            raise self._closed_error()
        return self._destination(self._target.subsets[name], f"{self._target.name}/{name}", ())

    def _open_copies(self, name: str) -> Any:
        target = resolve(name, self._using.environment)
        return self._channel(target, target.uri)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._target.name}>"
