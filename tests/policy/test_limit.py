"""Limits of calls in flight and of calls a second: their defaults, and what is refused."""

from __future__ import annotations

import pytest

from mesh.call import Priority
from mesh.policy.rate_limit import RateKey, RatePolicy
from mesh.policy.table import load
from tests.policy.test_table import policies, table

METHOD = "/a.B/C"


def test_bounds_of_an_adaptive_limit_fit_a_low_maximum():
    """Defaults give way to what is written."""
    policy = table("defaults: {server_concurrency: {max_in_flight: 4, adaptive: {}}}").policy(METHOD)

    adaptive = policy.server_concurrency.adaptive
    assert (4, 4) == (adaptive.min_in_flight, adaptive.initial_in_flight)


def test_it_starts_no_lower_than_its_minimum():
    policy = table("defaults: {server_concurrency: {adaptive: {min_in_flight: 50}}}").policy(METHOD)

    assert 50 == policy.server_concurrency.adaptive.initial_in_flight


@pytest.mark.parametrize(("rate", "burst"), [(0.5, 1), (1, 1), (2.5, 2), (100, 100)])
def test_a_burst_is_a_seconds_worth(rate, burst):
    policy = table(f"defaults: {{rate_limit: {{limits: [{{per_second: {rate}}}]}}}}").policy(METHOD)

    assert (RatePolicy(per_second=rate, burst=burst),) == policy.rate_limit.limits


def test_several_limits():
    policy = table(
        """
        defaults:
          rate_limit:
            limits:
            - {per_second: 100, burst: 7}
            - {per_second: 10, key: RATE_KEY_PRINCIPAL, max_keys: 5}
            - {per_second: 1, key: RATE_KEY_METADATA, metadata: tenant}
        """
    ).policy(METHOD)

    assert policy.rate_limit.limits == (
        RatePolicy(per_second=100, burst=7),
        RatePolicy(per_second=10, burst=10, key=RateKey.PRINCIPAL, max_keys=5),
        RatePolicy(per_second=1, burst=1, key=RateKey.METADATA, metadata="tenant"),
    )


def test_the_default_priority():
    assert (
        Priority.HIGH
        is table("defaults: {priority: {default: PRIORITY_LEVEL_HIGH}}").policy(METHOD).priority.default
    )


LIMITS = "policies.defaults.rate_limit.limits"
REFUSED = [
    ("rate_limit: {}", f"{LIMITS}: there is nothing to enforce; write a limit, or say `enabled: false`"),
    (
        "rate_limit: {limits: [{burst: 2}]}",
        f"{LIMITS}[0].per_second: a limit needs a rate, in calls a second",
    ),
    (
        "rate_limit: {limits: [{per_second: 0}]}",
        f'{LIMITS}[0].per_second: "0" is out of range, must be 0.0001 to 1e+06',
    ),
    (
        "rate_limit: {limits: [{per_second: 1, key: RATE_KEY_METADATA}]}",
        f'{LIMITS}[0].metadata: "" is no name of metadata, in lower case, which RATE_KEY_METADATA needs',
    ),
    (
        "rate_limit: {limits: [{per_second: 1, key: RATE_KEY_METADATA, metadata: Tenant}]}",
        f'{LIMITS}[0].metadata: "Tenant" is no name of metadata, in lower case, which RATE_KEY_METADATA needs',
    ),
    (
        "rate_limit: {limits: [{per_second: 1, metadata: tenant}]}",
        f'{LIMITS}[0].metadata: "tenant" is looked at with RATE_KEY_METADATA only',
    ),
    (
        "server_concurrency: {max_in_flight: 5, adaptive: {min_in_flight: 6}}",
        'policies.defaults.server_concurrency.adaptive.min_in_flight: "6" is out of range, must be 1 to 5',
    ),
    (
        "client_concurrency: {low_share: 0}",
        'policies.defaults.client_concurrency.low_share: "0" is out of range, must be 0.01 to 1',
    ),
    (
        "client_concurrency: {adaptive: {algorithm: ADAPTIVE_ALGORITHM_AIMD, backoff_ratio: 1}}",
        'policies.defaults.client_concurrency.adaptive.backoff_ratio: "1" is out of range, must be 0.5 to 0.99',
    ),
]


@pytest.mark.parametrize(("text", "expected"), REFUSED)
def test_what_is_refused(text, expected):
    _, problems = load(policies(f"defaults: {{{text}}}"))

    assert [expected] == [str(problem) for problem in problems]
