"""No field of a policy is dropped silently: whatever an operator writes changes what is read."""

from __future__ import annotations

import copy

import pytest
from google.protobuf import json_format

from mesh.policy.merge import is_leaf
from mesh.policy.policy import Policy
from mesh.policy.problem import Problems
from mesh.v1 import policy_pb2

WRITTEN = {
    "deadline.enabled": False,
    "deadline.default_timeout": "1s",
    "deadline.max_timeout": "2s",
    "deadline.hop_reserve": "0.01s",
    "deadline.min_attempt_time": "0.01s",
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
    "retry.attempt_timeout": "1s",
    "retry.idempotency_key": False,
    "hedge.enabled": False,
    "hedge.delay": "0.05s",
    "hedge.percentile": 99,
    "hedge.minimum_calls": 10,
    "hedge.min_delay": "0.01s",
    "hedge.max_attempts": 3,
    "hedge.non_fatal_codes": ["STATUS_CODE_ABORTED"],
    "hedge.scope": "RETRY_SCOPE_ALL",
    "circuit_breaker.enabled": False,
    "circuit_breaker.consecutive_failures": 3,
    "circuit_breaker.failure_ratio": 0.2,
    "circuit_breaker.minimum_calls": 4,
    "circuit_breaker.window": "5s",
    "circuit_breaker.open_for": "2s",
    "circuit_breaker.max_open_for": "20s",
    "circuit_breaker.half_open_probes": 2,
    "circuit_breaker.slow_call_ratio": 0.5,
    "circuit_breaker.slow_call_duration": "2s",
    "circuit_breaker.scope": "CIRCUIT_BREAKER_SCOPE_TARGET",
    **{
        f"{side}_concurrency.{field}": value
        for side in ("client", "server")
        for field, value in {
            "enabled": False,
            "max_in_flight": 100,
            "scope": "CONCURRENCY_SCOPE_TARGET",
            "low_share": 0.2,
            "normal_share": 0.8,
            "adaptive.enabled": False,
            "adaptive.algorithm": "ADAPTIVE_ALGORITHM_AIMD",
            "adaptive.min_in_flight": 2,
            "adaptive.initial_in_flight": 30,
            "adaptive.tolerance": 2,
            "adaptive.latency_threshold": "0.1s",
            "adaptive.backoff_ratio": 0.8,
        }.items()
    },
    "rate_limit.enabled": False,
    "rate_limit.limits": [{"per_second": 5}],
    "priority.enabled": False,
    "priority.default": "PRIORITY_LEVEL_LOW",
    "trace.enabled": False,
    "trace.engine": "TRACE_ENGINE_OTEL_INSTRUMENTATION",
    "metrics.enabled": False,
    "metrics.messages": True,
    "access_log.enabled": False,
    "access_log.scope": "ACCESS_LOG_SCOPE_FAILURES",
    "load_report.enabled": False,
    "validation.enabled": False,
    "stream.enabled": False,
    "stream.idle_timeout": "30s",
    "stream.max_age": "600s",
    "message_limit.enabled": False,
    "message_limit.max_request_bytes": 1000,
    "message_limit.max_response_bytes": 1000,
    "required": ["retry"],
    "fault.enabled": False,
    "fault.delay.duration": "0.2s",
    "fault.delay.percent": 10,
    "fault.abort.code": "STATUS_CODE_ABORTED",
    "fault.abort.details": "on purpose",
    "fault.abort.percent": 10,
    "fault.headers": [{"name": "x-user", "exact": "test"}],
    "fault.by_request": True,
    "mirror.enabled": False,
    "mirror.target": "other",
    "mirror.percent": 10,
    "mirror.max_in_flight": 5,
    "mirror.timeout": "1s",
    "route.enabled": False,
    "route.rules": [{"to": [{"subset": "v2"}]}],
    "fallback.enabled": False,
    "fallback.codes": ["STATUS_CODE_INTERNAL"],
    "fallback.response": {"name": "other"},
    "fallback.method": "GetCached",
}
"""A value other than the default for every field of every section that is about calls."""

NEEDED = {
    "client_concurrency": {"adaptive": {}},
    "server_concurrency": {"adaptive": {}},
    "fault": {
        "delay": {"duration": "0.1s"},
        "abort": {"code": "STATUS_CODE_UNAVAILABLE"},
    },
    "mirror": {"target": "next"},
    "route": {"rules": [{"to": [{"subset": "v1"}]}]},
    "fallback": {"response": {"name": "none"}},
    "rate_limit": {"limits": [{"per_second": 1}]},
}
"""What is written in a section before the field that is tried."""


def fields(message=policy_pb2.Policy.DESCRIPTOR, prefix="") -> set[str]:
    found = set()
    for field in message.fields:
        nested = field.message_type
        if nested is not None and not is_leaf(field) and not field.is_repeated:
            found |= fields(nested, f"{prefix}{field.name}.")
        else:
            found.add(prefix + field.name)
    return found


def read(path: str) -> Policy:
    section, *rest = path.split(".")
    tree: dict = {section: copy.deepcopy(NEEDED.get(section, {}))}
    if not rest and section in WRITTEN:
        tree[section] = WRITTEN[section]
    inner = tree[section]
    for name in rest[:-1]:
        inner = inner.setdefault(name, {})
    if path == "fallback.method":
        inner.pop("response")  # there is one answer
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
    section = path.partition(".")[0]

    assert (Policy() if section == path else read(section)) != read(path)
