"""What a compiled composition is: an immutable graph of backend calls, which can be run and printed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.message import Message

from gateway.compose.binding import Build
from gateway.compose.graph import levels
from gateway.compose.source import Frame
from gateway.compose.spec import Step


@dataclasses.dataclass(frozen=True, slots=True)
class FanOut:
    """One call per item."""

    items: Callable[[Frame], Sequence[Any]]
    max_concurrency: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One step, compiled."""

    index: int
    """Its place among the plan's nodes, which is its step's in the composition."""
    slot: int
    """Where its result goes in the frame."""
    step: Step
    rpc: str
    """The backend's method: `/package.Service/Method`."""
    needs: tuple[int, ...]
    """The nodes whose results its expressions use. Inferred, never declared."""
    unlocks: tuple[int, ...]
    """The nodes that need this one."""
    request: Build
    """Its request, from the frame; in a fan-out the item is the frame's last value."""
    response_class: type[Message]
    fan_out: FanOut | None
    fills: tuple[str, ...]
    """The fields of the composed response that come from its result."""

    @property
    def name(self) -> str:
        return self.step.name


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One composed RPC, compiled."""

    method: str
    """The composed method: `/package.Service/Method`."""
    request_class: type[Message]
    response_class: type[Message]
    nodes: tuple[Node, ...]
    response: Build
    """The composed response, from the frame of a run that has finished."""
    omitted_field: str
    """The response's field for optional steps that failed; empty when every step is required."""
    response_lines: tuple[str, ...]
    """The response's bindings as text, for people."""


def explain(plan: Plan) -> str:
    """Render the plan as text: the calls by level, each with what it needs, its limits and its bindings.

    A level only shows which calls can be in flight together. No call waits for a level: it starts when what
    it needs has answered.
    """
    lines = [plan.method]
    graph = {node.index: node.needs for node in plan.nodes}
    for number, level in enumerate(levels(graph), start=1):
        lines.append(f"  level {number}")
        for index in level:
            lines.extend(_explain_node(plan, plan.nodes[index]))
    lines.append("  response")
    lines.extend(f"    {line}" for line in plan.response_lines)
    if plan.omitted_field:
        lines.append(f"    {plan.omitted_field} = the optional steps that failed")
    return "\n".join(lines)


def _explain_node(plan: Plan, node: Node) -> list[str]:
    step = node.step
    notes = []
    if node.needs:
        notes.append("after " + ", ".join(plan.nodes[index].name for index in node.needs))
    if step.for_each is not None:
        notes.append(
            f"for each {step.for_each.variable} of {step.for_each.over}, "
            f"at most {step.for_each.max_concurrency} in flight"
        )
    if step.timeout is not None:
        notes.append(f"timeout {step.timeout:g} s")
    if step.optional:
        notes.append("optional")
    told = f" ({'; '.join(notes)})" if notes else ""
    return [
        f"    {node.name}: {node.rpc}{told}",
        *(f"      {binding.field} = {binding.value}" for binding in step.request),
    ]
