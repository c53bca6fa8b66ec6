"""What an operator may say about the subset of a service that a call goes to."""

from __future__ import annotations

import dataclasses

from mesh.policy import read
from mesh.policy.header_match import HeaderMatchPolicy, check_name, read_all
from mesh.policy.problem import Problems
from mesh.v1 import policy_pb2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RulePolicy:
    """Where the requests go that match: to one of the subsets, by weight. The empty name is the service itself."""

    headers: tuple[HeaderMatchPolicy, ...] = ()
    subsets: tuple[str, ...]
    weights: tuple[int, ...]
    hash_header: str = ""

    @classmethod
    def read(cls, proto: policy_pb2.RouteRule, at: Problems) -> RulePolicy:
        to = at.field("to")
        if not proto.to:
            to.add("a rule needs somewhere to go; write `to: [{}]` for the service itself")
        seen: set[str] = set()
        for index, destination in enumerate(proto.to):
            if destination.subset in seen:
                to.item(index).field("subset").add(
                    f'"{destination.subset}" is given twice; add the weights up'
                )
            seen.add(destination.subset)
        weights = tuple(
            read.whole(destination, "weight", to.item(index), default=1, most=1_000_000)
            for index, destination in enumerate(proto.to)
        )
        if weights and not sum(weights):
            to.add("all weights are 0, so no request could go anywhere")
        if proto.HasField("hash_header"):
            check_name(proto.hash_header, at.field("hash_header"))
        return cls(
            headers=read_all(proto.headers, at.field("headers")),
            subsets=tuple(destination.subset for destination in proto.to),
            weights=weights,
            hash_header=proto.hash_header,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RoutePolicy:
    """Rules, the first of which that matches decides."""

    rules: tuple[RulePolicy, ...] = ()

    @classmethod
    def read(cls, proto: policy_pb2.Route, at: Problems) -> RoutePolicy | None:
        if not read.flag(proto, "enabled", default=True):
            return None
        here = at.field("rules")
        if not proto.rules:
            here.add("there is nothing to decide; write a rule, or say `enabled: false`")
        rules = tuple(RulePolicy.read(rule, here.item(index)) for index, rule in enumerate(proto.rules))
        for index, rule in enumerate(rules[:-1]):
            if not rule.headers:
                here.item(index + 1).add(f"no request comes this far: rules[{index}] matches every one")
                break
        return cls(rules=rules)
