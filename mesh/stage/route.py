"""Which subset of a service a call goes to, decided before its chain runs: each subset has chains of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from mesh.call import Metadata
from mesh.errors import ConfigError
from mesh.mechanism.header_match import HeaderMatcher
from mesh.mechanism.split import Split, draw
from mesh.policy.problem import Problems, suggest
from mesh.policy.route import RoutePolicy, RulePolicy
from mesh.stage.scope import OFF, Scope


class _Rule(NamedTuple):
    headers: tuple[HeaderMatcher, ...]
    split: Split
    subsets: tuple[str, ...]
    hash_header: str


class Routes:
    """The rules of one method."""

    __slots__ = ("_rules",)

    def __init__(self, policy: RoutePolicy) -> None:
        self._rules = tuple(
            _Rule(
                tuple(HeaderMatcher(name=one.name, kind=one.kind, value=one.value) for one in rule.headers),
                Split(weights=rule.weights),
                rule.subsets,
                rule.hash_header,
            )
            for rule in policy.rules
        )

    def choose(self, metadata: Metadata, random: Callable[[], float]) -> str:
        """Return the name of the subset; empty: the service itself."""
        for rule in self._rules:
            if all(header.matches(metadata) for header in rule.headers):
                if len(rule.subsets) == 1:
                    return rule.subsets[0]
                text = next((value for name, value in metadata if name == rule.hash_header), None)
                return rule.subsets[rule.split.pick(random() if text is None else draw(text))]
        return ""

    def __repr__(self) -> str:
        return f"<Routes {len(self._rules)} rules>"


def check(policy: RoutePolicy, known: Iterable[str], target: str, at: Problems) -> None:
    """Report every subset that the target does not have."""
    known = tuple(known)
    for index, rule in enumerate(policy.rules):
        for number, name in enumerate(rule.subsets):
            if name and name not in known:
                at.field("rules").item(index).field("to").item(number).field("subset").add(
                    f'"{name}" is not a subset of {target}{suggest(name, known)}'
                )


def build(scope: Scope) -> Routes | None:
    """Return the rules; raise ConfigError when they name a subset that is not there."""
    policy = scope.policy.route
    if policy is None or scope.subsets is None:
        return None
    at = Problems(f"{scope.method}: route")
    if scope.subsets:
        check(policy, scope.subsets, scope.target, at)
    if at:
        raise ConfigError(at.list)
    return Routes(policy)


def describe(scope: Scope) -> str:
    policy = scope.policy.route
    if not scope.subsets:
        return "has led here"
    return "; ".join(_describe(rule, scope.target) for rule in (() if policy is None else policy.rules))


def _describe(rule: RulePolicy, target: str) -> str:
    names = [f"{target}/{name}" if name else target for name in rule.subsets]
    whole = sum(rule.weights)
    to = names[0]
    if len(names) > 1:
        shares = zip(names, rule.weights, strict=True)
        to = ", ".join(f"{100 * weight / whole:.4g}% {name}" for name, weight in shares)
        if rule.hash_header:
            to += f" by {rule.hash_header}"
    when = " and ".join(map(str, rule.headers))
    return f"{when}: {to}" if when else to


def absent(scope: Scope) -> str:
    """Say why calls are not routed."""
    if scope.policy.route is None:
        return OFF
    return "only calls through a channel of the mesh, to a service that has subsets, are routed"
