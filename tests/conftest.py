"""Settings every test shares."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import grpc.aio
from hypothesis import settings

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("mesh", settings.default, deadline=None)
settings.load_profile("mesh")


def _by_itself(make: Callable[..., Any]) -> Callable[..., Any]:
    """Make channels that share no connections: one that still calls a server which has ended would lend the next test,
    whose server the system may give the same port, its failure."""

    @functools.wraps(make)
    def made(*arguments: Any, options: Sequence[tuple[str, Any]] | None = None, **others: Any) -> Any:
        return make(*arguments, options=(*(options or ()), ("grpc.use_local_subchannel_pool", 1)), **others)

    return made


for module in (grpc, grpc.aio):
    for name in ("insecure_channel", "secure_channel"):
        setattr(module, name, _by_itself(getattr(module, name)))
