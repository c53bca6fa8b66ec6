"""What is to be served, checked: schema, routes, plans, where each service is, and the gateway's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.compose import Plan
from gateway.route.table import Table
from gateway.schema.pool import Schema
from mesh.binding.runtime import Runtime
from mesh.config.edge import Rest
from mesh.config.spec import Gateway as Settings


@dataclass(frozen=True, slots=True, eq=False)
class Blueprint:
    """Everything a gateway is made of, before it has a single connection."""

    schema: Schema
    table: Table
    plans: Mapping[str, Plan]
    """By full method name."""
    targets: Mapping[str, str]
    """Where each gRPC service is, by its full name: what `mesh.channel` takes."""
    runtime: Runtime
    settings: Settings
    title: str
    """Of the API, for its documentation."""
    version: str = "1"
    rests: Mapping[str, Rest] = field(default_factory=dict)
    """What methods say about their REST form beyond google.api.http, by full method name."""

    def __repr__(self) -> str:
        return f"<Blueprint {self.title}: {len(self.table.bindings)} routes, {len(self.plans)} composed>"
