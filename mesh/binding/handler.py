"""What both kinds of servers ask about a handler before they wrap it."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Final

from mesh.call import Arity, Outcome

FOREVER: Final = 1e9
"""`time_remaining()` of a call without a deadline is None or about 9.2e18 seconds, by version and kind of grpc."""

LATE: Final = Outcome(4, "the server's time limit for this method passed")

INFRASTRUCTURE: Final = ("/grpc.health.v1.", "/grpc.reflection.")
"""Methods that serve the mesh itself: they must answer when limits are reached, and are nobody's traffic."""


def arity_of(handler: Any) -> Arity:
    """Return how many messages each side of a grpc.RpcMethodHandler sends."""
    return Arity(
        f"{'stream' if handler.request_streaming else 'unary'}_"
        f"{'stream' if handler.response_streaming else 'unary'}"
    )


def plain(behaviour: Any) -> Any:
    """Return the function behind a handler: itself, what a partial is of, or an object's `__call__`."""
    while isinstance(behaviour, functools.partial):
        behaviour = behaviour.func
    if inspect.isfunction(behaviour) or inspect.ismethod(behaviour):
        return behaviour
    return type(behaviour).__call__
