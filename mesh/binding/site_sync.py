"""What a target is reached by in threads: channels of plain grpc, and how they close."""

from __future__ import annotations

from collections.abc import Sequence

from mesh.binding import site
from mesh.binding.mirror_sync import Copier
from mesh.binding.runtime import Runtime
from mesh.binding.target import Target
from mesh.call import Colour
from mesh.placement import Placed


class Site(site.Site):
    """One target of a runtime, for every thread."""

    _colour = Colour.SYNC

    def __init__(
        self, target: Target, using: Runtime, open_channel: site.Open, *, stages: Sequence[Placed] = ()
    ) -> None:
        self._copier = Copier(self._open_copies, using.turns, using.alarms)
        super().__init__(target, using, open_channel, self._copier, native=True, stages=stages)

    def _closed_error(self) -> Exception:
        return ValueError("Cannot invoke RPC on closed channel!")

    def close(self) -> None:
        """Close all that is open beside the target's own channel."""
        subsets = self._stop()
        self._copier.close()
        for subset in subsets:
            subset.close()
