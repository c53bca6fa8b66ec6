"""Who enforces each section of a policy on each side, when Python talks to Python without a control plane.

One owner for each feature: if both the chain and gRPC's core retried, attempts would multiply.

Native means the service config and channel arguments that `mesh.channel` gives to gRPC's core, no Python on the path.
A section that is on neither list of a side does nothing there: a server balances nobody's load.

Nor can every kind of call do everything. What grpc's synchronous API has no means for, and what takes a channel of the
mesh's own where the application brings one with our interceptors, is in INERT: `mesh explain` prints it, and a policy that
requires such a section is refused.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, NamedTuple

from mesh.call import Arity, Colour, Side
from mesh.chain import Inert
from mesh.order import ORDER
from mesh.policy.observe import TraceEngine
from mesh.stage.scope import Scope


class Owner(enum.Enum):
    """Who enforces a section."""

    CHAIN = "chain"
    NATIVE = "native"


NATIVE: Final[Mapping[Side, frozenset[str]]] = {
    Side.CLIENT: frozenset({"connection"}),
    Side.SERVER: frozenset(),
}
"""Sections of mesh.v1.Policy that gRPC's core enforces."""


def owners(side: Side) -> Mapping[str, tuple[Owner, ...]]:
    """Return who enforces each section on this side; more than one owner is a mistake that a test finds."""
    found: dict[str, tuple[Owner, ...]] = {
        slot.section: (Owner.CHAIN,) for slot in ORDER if side in slot.sides
    }
    for section in NATIVE[side]:
        found[section] = (*found.get(section, ()), Owner.NATIVE)
    return found


class Limit(NamedTuple):
    """A section that does nothing for some calls."""

    section: str
    side: Side
    reason: str
    colours: frozenset[Colour] = frozenset(Colour)
    arities: frozenset[Arity] = frozenset(Arity)
    own: bool = False
    """Only on interceptors in a channel of the application's own."""


_SYNC: Final = frozenset({Colour.SYNC})
_ONE_RESPONSE: Final = frozenset(arity for arity in Arity if not arity.response_streams)
_MANY_RESPONSES: Final = frozenset(Arity) - _ONE_RESPONSE
_STREAMS: Final = frozenset(Arity) - {Arity.UNARY_UNARY}

INERT: Final = (
    Limit("connection", Side.CLIENT, "it is settings of a channel that the mesh makes", own=True),
    Limit(
        "route",
        Side.CLIENT,
        "subsets have channels of their own, which a channel of the mesh opens",
        own=True,
    ),
    Limit("mirror", Side.CLIENT, "copies go out on a channel of the mesh", own=True),
    Limit(
        "hedge",
        Side.CLIENT,
        "plain grpc cannot wait for the first of several streams but with a thread for each; attempts follow one another",
        _SYNC,
        _MANY_RESPONSES,
    ),
    Limit(
        "hedge",
        Side.CLIENT,
        "interceptors of plain grpc get a call that blocks only when it has ended; attempts follow one another",
        _SYNC,
        _ONE_RESPONSE,
        own=True,
    ),
    Limit(
        "stream",
        Side.CLIENT,
        "interceptors of plain grpc get a call that blocks only when it has ended; nobody can cancel it",
        _SYNC,
        frozenset({Arity.STREAM_UNARY}),
        own=True,
    ),
    Limit(
        "stream",
        Side.SERVER,
        "a handler's thread cannot be interrupted",
        _SYNC,
        _STREAMS,
    ),
    Limit(
        "deadline",
        Side.SERVER,
        "a handler's thread cannot be interrupted: what comes late is DEADLINE_EXCEEDED when it comes",
        _SYNC,
    ),
)
"""Everything that some calls cannot have."""


def inert(side: Side, arity: Arity, colour: Colour, *, own: bool = False) -> Mapping[str, str]:
    """Return the sections that do nothing for these calls, each with the reason."""
    found: dict[str, str] = {}
    for limit in INERT:
        if (
            limit.side is side
            and arity in limit.arities
            and colour in limit.colours
            and (own or not limit.own)
        ):
            found.setdefault(limit.section, limit.reason)
    return found


def _by_nature(scope: Scope) -> Mapping[str, str]:
    """Return the sections that do nothing for a client's method or target, however it is called."""
    found = {}
    if scope.subsets is None:
        found["route"] = "the target has no subsets"
    if scope.arity.request_streams:
        found["mirror"] = "streams of requests are not copied"
    if scope.arity.response_streams:
        found["fallback"] = "the method answers with a stream"
    return found


def inert_at(colour: Colour, *, own: bool = False) -> Inert:
    """Return `inert` as a chain asks it; what is not configured is not spoken of."""

    def ask(scope: Scope) -> Mapping[str, str]:
        reasons = dict(inert(scope.side, scope.arity, colour, own=own))
        fallback = scope.policy.fallback
        if (
            own
            and colour is Colour.SYNC
            and scope.side is Side.CLIENT
            and fallback is not None
            and fallback.response
        ):
            reasons["fallback"] = "an interceptor of plain grpc cannot deserialize a response"
        if scope.side is Side.CLIENT:
            reasons = {**_by_nature(scope), **reasons}
        trace = scope.policy.trace
        if colour is Colour.SYNC and trace is not None and trace.engine is TraceEngine.OTEL_INSTRUMENTATION:
            reasons["trace"] = (
                "the package's interceptors are put into grpc.aio alone; the mesh makes the spans"
            )
        circuit = scope.policy.circuit_breaker
        if own and scope.side is Side.CLIENT and circuit is not None and circuit.outlier is not None:
            reasons["circuit_breaker"] = (
                "circuits of single endpoints are settings of a channel that the mesh makes"
            )
        configured = {
            section
            for section in reasons
            if section == "connection" or getattr(scope.policy, section, None) is not None
        }
        return {section: reason for section, reason in reasons.items() if section in configured}

    return ask
