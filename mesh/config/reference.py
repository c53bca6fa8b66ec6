"""Whether what the policies refer to by name is in the environment: subsets that routes lead to, targets of copies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mesh.config.spec import Service
from mesh.policy.problem import Problems, suggest
from mesh.v1 import config_pb2, policy_pb2


def check(policies: config_pb2.Policies, services: Iterable[Service], at: Problems) -> None:
    """Report every name in the policies that no service or subset has."""
    services = tuple(services)
    names = {service.name for service in services}
    serving = {full_name: service for service in services for full_name in service.serves}
    for full_name, policy, here in _layers(policies, at):
        if full_name:
            # A service elsewhere has subsets, if any, that are not known here.
            reached = [serving[full_name]] if full_name in serving else []
        else:
            reached = [service for service in services if service.serves]
        _check_subsets(policy.route, reached, here.field("route"))
        target = policy.mirror.target
        if target and ":" not in target and target not in names:
            here.field("mirror").field("target").add(
                f'"{target}" is not a service of this environment{suggest(target, names)}'
            )


def _layers(policies: config_pb2.Policies, at: Problems) -> Iterator[tuple[str, policy_pb2.Policy, Problems]]:
    """Yield each layer with the service it is for, empty for all of them, and its place."""
    yield "", policies.defaults, at.field("defaults")
    for index, entry in enumerate(policies.services):
        here = at.field("services").item(index)
        yield entry.service, entry.policy, here.field("policy")
        for number, method in enumerate(entry.methods):
            yield entry.service, method.policy, here.field("methods").item(number).field("policy")


def _check_subsets(route: policy_pb2.Route, services: Iterable[Service], at: Problems) -> None:
    known: Mapping[str, tuple[str, ...]] = {
        service.name: tuple(subset.name for subset in service.subsets) for service in services
    }
    for index, rule in enumerate(route.rules):
        for number, destination in enumerate(rule.to):
            name = destination.subset
            lacking = [service for service, subsets in known.items() if name and name not in subsets]
            if lacking:
                at.field("rules").item(index).field("to").item(number).field("subset").add(
                    f'"{name}" is not a subset of {lacking[0]}{suggest(name, known[lacking[0]])}'
                )
