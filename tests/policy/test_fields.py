"""No field of a policy is dropped silently: whatever an operator writes changes what is read."""

from __future__ import annotations

import pytest
from google.protobuf import json_format

from mesh.policy.policy import Policy
from mesh.policy.problem import Problems
from mesh.v1 import policy_pb2

WRITTEN = {
    "deadline.enabled": False,
    "deadline.default_timeout": "1s",
    "deadline.max_timeout": "2s",
    "deadline.hop_reserve": "0.01s",
    "retry.enabled": False,
    "retry.max_attempts": 4,
    "retry.codes": ["STATUS_CODE_ABORTED"],
    "retry.scope": "RETRY_SCOPE_ALL",
    "retry.backoff.base": "0.03s",
    "retry.backoff.max": "0.3s",
    "retry.backoff.multiplier": 3,
    "retry.backoff.jitter": "JITTER_NONE",
    "retry.budget.ratio": 0.1,
    "retry.budget.min_per_second": 1,
    "retry.budget.window": "5s",
    "circuit_breaker.enabled": False,
    "circuit_breaker.consecutive_failures": 3,
    "circuit_breaker.failure_ratio": 0.2,
    "circuit_breaker.minimum_calls": 4,
    "circuit_breaker.window": "5s",
    "circuit_breaker.open_for": "2s",
    "circuit_breaker.max_open_for": "20s",
    "circuit_breaker.half_open_probes": 2,
    "client_concurrency.enabled": False,
    "client_concurrency.max_in_flight": 1,
    "server_concurrency.enabled": False,
    "server_concurrency.max_in_flight": 1,
    "trace.enabled": False,
    "trace.engine": "TRACE_ENGINE_OTEL_INSTRUMENTATION",
    "metrics.enabled": False,
    "access_log.enabled": False,
    "access_log.scope": "ACCESS_LOG_SCOPE_FAILURES",
    "load_report.enabled": False,
}
"""A value other than the default for every field of every section that is about calls."""


def fields(message=policy_pb2.Policy.DESCRIPTOR, prefix="") -> set[str]:
    found = set()
    for field in message.fields:
        nested = field.message_type
        if nested is not None and nested.full_name != "google.protobuf.Duration":
            found |= fields(nested, f"{prefix}{field.name}.")
        else:
            found.add(prefix + field.name)
    return found


def read(path: str) -> Policy:
    section, *rest = path.split(".")
    tree: dict = {section: {}}
    inner = tree[section]
    for name in rest[:-1]:
        inner = inner.setdefault(name, {})
    if rest:
        inner[rest[-1]] = WRITTEN[path]
    at = Problems()
    policy = Policy.read(json_format.ParseDict(tree, policy_pb2.Policy()), at)
    assert not at
    return policy


def test_every_field_is_tried():
    assert {name for name in fields() if not name.startswith("connection.")} == set(WRITTEN)


@pytest.mark.parametrize("path", sorted(WRITTEN))
def test_no_field_is_dropped_silently(path):
    assert read(path.partition(".")[0]) != read(path)
