"""Where a call goes: to the service, or to the subset that its method's routes choose."""

from __future__ import annotations

import threading
from collections.abc import Callable

from mesh.binding.destination import Destination
from mesh.call import Metadata


class Router:
    """Chooses the destination of each call.

    A subset's channel is opened by the first call that goes there: whoever never routes to it has no connections to it.
    """

    __slots__ = ("_away", "_home", "_open", "_opening")

    def __init__(self, home: Destination, open_subset: Callable[[str], Destination]) -> None:
        self._home = home
        self._open = open_subset
        self._away: dict[str, Destination] = {}
        self._opening = threading.Lock()

    def __call__(self, method: str, metadata: Metadata) -> Destination:
        """Return where the call goes; raise ConfigError when its route leads nowhere."""
        chains = self._home.chains
        routes = chains.routes(method)
        name = "" if routes is None else routes.choose(metadata, chains.random)
        if not name:
            return self._home
        destination = self._away.get(name)
        if destination is None:
            with self._opening:
                destination = self._away.get(name)
                if destination is None:
                    destination = self._away[name] = self._open(name)
        return destination

    @property
    def opened(self) -> tuple[Destination, ...]:
        """The subsets that calls have gone to; what is being opened is waited for."""
        with self._opening:
            return tuple(self._away.values())

    def __repr__(self) -> str:
        return f"<Router {self._home!r} {sorted(self._away)}>"
