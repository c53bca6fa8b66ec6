"""Combinations that cannot be meant are refused, with the path and what to do."""

from __future__ import annotations

import pytest

from mesh.policy.problem import Problems
from mesh.policy.table import PolicyTable, load
from mesh.v1 import policy_pb2
from tests.policy.test_table import described, policies

D, S = "policies.defaults", "policies.services[0].policy"


def service(defaults: str, own: str, method: str = "") -> str:
    methods = f", methods: [{{method: C, policy: {{{method}}}}}]" if method else ""
    return f"{{defaults: {{{defaults}}}, services: [{{service: a.B, policy: {{{own}}}{methods}}}]}}"


REFUSED = [
    (
        "defaults: {deadline: {default_timeout: 5s, max_timeout: 2s}}",
        f"{D}.deadline.default_timeout: the default of 5s is above max_timeout, 2s; raise the one or lower the other",
    ),
    (
        "defaults: {deadline: {default_timeout: 1s, hop_reserve: 1s}}",
        (
            f'{D}.deadline.hop_reserve: "1s" does not fit: the call has 1s (deadline.default_timeout), so nothing '
            "would be left for the calls it makes; lower it or raise default_timeout"
        ),
    ),
    (
        "defaults: {deadline: {max_timeout: 1s, min_attempt_time: 2s}}",
        (
            f'{D}.deadline.min_attempt_time: "2s" does not fit: the call has 1s (deadline.max_timeout), so no attempt '
            "would ever start; lower it or raise max_timeout"
        ),
    ),
    (
        service("deadline: {default_timeout: 1s}", "retry: {attempt_timeout: 2s}"),
        (
            f'{S}.retry.attempt_timeout: "2s" does not fit: the call has 1s (deadline.default_timeout), so no attempt '
            "would ever be given up for another; lower it or raise default_timeout"
        ),
    ),
    (
        service("retry: {attempt_timeout: 2s}", "", "deadline: {default_timeout: 1s}"),
        (
            "policies.services[0].methods[0].policy.retry.attempt_timeout: "
            '"2s" does not fit: the call has 1s (deadline.default_timeout), so no attempt would ever be given up for '
            "another; lower it or raise default_timeout"
        ),
    ),
    (
        "defaults: {deadline: {default_timeout: 0.1s}, retry: {backoff: {base: 0.2s, jitter: JITTER_NONE}}}",
        (
            f'{D}.retry.backoff.base: "0.2s" does not fit: the call has 0.1s (deadline.default_timeout), so no retry '
            "would ever fit; lower it or raise default_timeout"
        ),
    ),
    (
        "defaults: {deadline: {default_timeout: 0.1s}, hedge: {delay: 0.2s}}",
        (
            f'{D}.hedge.delay: "0.2s" does not fit: the call has 0.1s (deadline.default_timeout), so no second attempt '
            "would ever start; lower it or raise default_timeout"
        ),
    ),
    (
        "defaults: {deadline: {default_timeout: 1s}, circuit_breaker: {slow_call_ratio: 0.5, slow_call_duration: 3s}}",
        (
            f'{D}.circuit_breaker.slow_call_duration: "3s" does not fit: the call has 1s (deadline.default_timeout), '
            "so no answer would ever be slow; lower it or raise default_timeout"
        ),
    ),
    (
        "defaults: {hedge: {}, retry: {max_attempts: 4, budget: {ratio: 0.1}}}",
        (
            f"{D}.hedge: hedging takes the place of retries, so retry.max_attempts would do nothing; write one of them "
            "(retry.budget is shared by both)"
        ),
    ),
    (
        "defaults: {required: [retyr]}",
        f'{D}.required[0]: "retyr" is not a section of a policy; did you mean "retry"?',
    ),
    ("defaults: {required: [retry, retry]}", f'{D}.required[1]: "retry" is given twice'),
    (
        "defaults: {required: [hedge]}",
        f'{D}.required[0]: "hedge" must be enforced, but it is off; write the section, or take it out of `required`',
    ),
    (
        service("required: [retry]", "retry: {enabled: false}"),
        f'{S}.required[0]: "retry" must be enforced, but it is off; write the section, or take it out of `required`',
    ),
    (
        "defaults: {stream: {idle_timeout: 10s, max_age: 5s}}",
        (f"{D}.stream.idle_timeout: a stream lives for 5s (max_age), so it is never idle for 10s; lower it"),
    ),
    (
        service("connection: {max_receive_bytes: 100}", "message_limit: {max_response_bytes: 101}"),
        (
            f"{S}.message_limit.max_response_bytes: the connection takes no message above 100 bytes "
            "(connection.max_receive_bytes); lower this one or raise that one"
        ),
    ),
    (
        "defaults: {stream: {}, required: [stream]}",
        f"{D}.stream: there is nothing to enforce; write idle_timeout or max_age, or say `enabled: false`",
    ),
    (
        service("", "message_limit: {enabled: true}"),
        (
            f"{S}.message_limit: there is nothing to enforce; write max_request_bytes or max_response_bytes, "
            "or say `enabled: false`"
        ),
    ),
    (
        "defaults: {server_concurrency: {adaptive: {latency_threshold: 0.1s}}}",
        (
            f"{D}.server_concurrency.adaptive.latency_threshold: only ADAPTIVE_ALGORITHM_AIMD looks at it; "
            "choose that algorithm, or remove the field"
        ),
    ),
    (
        service(
            "client_concurrency: {adaptive: {tolerance: 2}}",
            "client_concurrency: {adaptive: {algorithm: ADAPTIVE_ALGORITHM_AIMD}}",
        ),
        (
            f"{S}.client_concurrency.adaptive.tolerance: only ADAPTIVE_ALGORITHM_GRADIENT looks at it; "
            "choose that algorithm, or remove the field"
        ),
    ),
    (
        "defaults: {retry: {backoff: {multiplier: 3, jitter: JITTER_DECORRELATED}}}",
        (
            f"{D}.retry.backoff.multiplier: JITTER_DECORRELATED grows from each wait to three times that and does "
            "not look at it; choose another jitter, or remove the field"
        ),
    ),
]


@pytest.mark.parametrize(("text", "expected"), REFUSED, ids=[text for text, _ in REFUSED])
def test_what_is_refused(text, expected):
    _, problems = load(policies(text))

    assert [expected] == [str(problem) for problem in problems]


@pytest.mark.parametrize(
    "text",
    [
        "defaults: {deadline: {enabled: false, default_timeout: 5s, max_timeout: 2s}}",
        service("deadline: {default_timeout: 5s}", "deadline: {max_timeout: 2s}"),  # the cap cuts the default
        service("retry: {max_attempts: 4}", "hedge: {}"),
        "defaults: {hedge: {}, retry: {budget: {ratio: 0.1}}}",
        "defaults: {hedge: {}, retry: {enabled: false}}",
        "defaults: {deadline: {default_timeout: 0.1s}, retry: {backoff: {base: 0.2s, max: 0.3s}}}",  # jitter may fit
        "defaults: {deadline: {default_timeout: 1s}, retry: {enabled: false, attempt_timeout: 2s}}",
        "defaults: {retry: {attempt_timeout: 60s}}",  # a caller may allow more than the built-in default
        "defaults: {required: [retry, connection, deadline]}",
        service("", "required: [hedge], hedge: {}"),
        "defaults: {stream: {idle_timeout: 5s, max_age: 10s}}",
        "defaults: {stream: {enabled: false}, message_limit: {enabled: false}}",
        service("stream: {max_age: 10s}", "stream: {enabled: true}"),
        "defaults: {server_concurrency: {adaptive: {enabled: false, latency_threshold: 0.1s}}}",
        "defaults: {server_concurrency: {enabled: false, adaptive: {latency_threshold: 0.1s}}}",
        service(
            "server_concurrency: {adaptive: {algorithm: ADAPTIVE_ALGORITHM_AIMD}}",
            "server_concurrency: {adaptive: {latency_threshold: 0.1s, backoff_ratio: 0.8}}",
        ),
        "defaults: {retry: {enabled: false, backoff: {multiplier: 3, jitter: JITTER_DECORRELATED}}}",
    ],
)
def test_what_is_not(text):
    assert [] == load(policies(text))[1]


def test_annotations_are_checked_on_top_of_the_environment():
    own = policy_pb2.Policy(required=["retyr"])
    own.retry.attempt_timeout.seconds = 2
    made, problems = load(policies("defaults: {deadline: {default_timeout: 1s}}"), pool=described(Get=own))
    assert [] == problems
    at = Problems("Get")

    made.policy("/shop.v1.Shop/Get", at)

    assert [
        'Get.required[0]: "retyr" is not a section of a policy; did you mean "retry"?',
        (
            'Get.retry.attempt_timeout: "2s" does not fit: the call has 1s (deadline.default_timeout), so no attempt '
            "would ever be given up for another; lower it or raise default_timeout"
        ),
    ] == [str(problem) for problem in at.list]
    assert isinstance(made, PolicyTable)
