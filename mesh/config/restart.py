"""Which changes of an environment reach a running process only when it starts again, or opens its channels anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from mesh.policy.problem import Problem
from mesh.v1 import config_pb2, policy_pb2

Key = tuple[str, str]
"""A service's and a method's name; empty strings for what is above them."""

_EMPTY: Final = policy_pb2.Policy()
_CHANNELS: Final = "changed; channels that are open keep what they have, those opened from now on follow"
_PROCESS: Final = "changed; takes effect when the process starts again"
_GATEWAY: Final = "changed; takes effect when the gateway gets SIGHUP, or starts again"
_SPANS: Final = (
    "names opentelemetry-instrumentation-grpc for the first time; open channels and servers have no interceptors of "
    "it, and the mesh goes on making their spans"
)
_SECTIONS: Final[Mapping[str, str]] = {
    "services": _CHANNELS,
    "gateway": _GATEWAY,
    "telemetry": _PROCESS,
    "descriptors": _PROCESS,
    "name": _PROCESS,
}
"""What becomes of the sections of a `mesh.yaml` that hold no policies, when they change."""


def needed(old: config_pb2.Environment, new: config_pb2.Environment) -> list[Problem]:
    """Return every change that a reload of the policies leaves out, with the path of what changed."""
    was, now = _written(old), _written(new)
    found = [Problem(name, text) for name, text in _SECTIONS.items() if was.get(name) != now.get(name)]
    before, after = dict(_layers(old.policies)), dict(_layers(new.policies))
    found += [
        Problem(f"{_path(new.policies, key)}.connection", _CHANNELS)
        for key in {**before, **after}
        if before.get(key, _EMPTY).connection != after.get(key, _EMPTY).connection
    ]
    # Circuits of single endpoints are the channel's outlier detection.
    found += [
        Problem(f"{_path(new.policies, key)}.circuit_breaker", _CHANNELS)
        for key in {**before, **after}
        if _ejecting(before.get(key, _EMPTY)) != _ejecting(after.get(key, _EMPTY))
    ]
    if not any(_foreign(policy) for policy in before.values()):
        found += [
            Problem(f"{_path(new.policies, key)}.trace.engine", _SPANS)
            for key, policy in after.items()
            if _foreign(policy)
        ]
    return found


def _written(proto: config_pb2.Environment) -> Mapping[str, object]:
    return {field.name: value for field, value in proto.ListFields()}


def _layers(policies: config_pb2.Policies) -> Iterator[tuple[Key, policy_pb2.Policy]]:
    yield ("", ""), policies.defaults
    for entry in policies.services:
        yield (entry.service, ""), entry.policy
        for method in entry.methods:
            yield (entry.service, method.method), method.policy


def _path(policies: config_pb2.Policies, key: Key) -> str:
    """Return where a layer is written; of one that is gone, where it would be."""
    service, method = key
    if not service:
        return "policies.defaults"
    for index, entry in enumerate(policies.services):
        if entry.service == service:
            for number, own in enumerate(entry.methods):
                if method and own.method == method:
                    return f"policies.services[{index}].methods[{number}].policy"
            return f"policies.services[{index}].policy"
    return f'policies.services["{service}"].policy'


def _ejecting(policy: policy_pb2.Policy) -> policy_pb2.CircuitBreaker | None:
    endpoints = policy.circuit_breaker.scope == policy_pb2.CIRCUIT_BREAKER_SCOPE_ENDPOINT
    return policy.circuit_breaker if endpoints else None


def _foreign(policy: policy_pb2.Policy) -> bool:
    return policy.trace.engine == policy_pb2.TRACE_ENGINE_OTEL_INSTRUMENTATION
