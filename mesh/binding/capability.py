"""Who enforces each section of a policy on each side, when Python talks to Python without a control plane.

One owner for each feature: if both the chain and gRPC's core retried, attempts would multiply.

Native means the service config and channel arguments that `mesh.channel` gives to gRPC's core, no Python on the path.
A section that is on neither list of a side does nothing there: a server balances nobody's load.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from mesh.call import Side
from mesh.chain import ORDER


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
