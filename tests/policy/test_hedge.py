"""What may be said about hedging, what is refused, and what it shares with retries."""

from __future__ import annotations

import pytest
from google.protobuf import json_format

from mesh.policy.hedge import HedgePolicy
from mesh.policy.policy import Policy
from mesh.policy.problem import Problems
from mesh.policy.retry import BudgetPolicy
from mesh.v1 import policy_pb2


def read(**tree) -> tuple[Policy, list[str]]:
    at = Problems()
    policy = Policy.read(json_format.ParseDict(tree, policy_pb2.Policy()), at)
    return policy, [str(problem) for problem in at.list]


def test_a_section_without_fields_has_the_defaults():
    assert (HedgePolicy(), []) == (read(hedge={})[0].hedge, read(hedge={})[1])


def test_a_number_that_is_no_status_is_refused():
    assert ['hedge.non_fatal_codes[0]: "99" is not a gRPC status code'] == read(
        hedge={"non_fatal_codes": [99]}
    )[1]


def test_no_delay_is_a_delay():
    assert 0.0 == read(hedge={"delay": "0s"})[0].hedge.delay


@pytest.mark.parametrize(
    ("hedge", "problem"),
    [
        ({"delay": "61s"}, 'hedge.delay: "61s" is out of range, must be 0s to 60s'),
        ({"percentile": 49}, 'hedge.percentile: "49" is out of range, must be 50 to 99.9'),
        ({"percentile": 100}, 'hedge.percentile: "100" is out of range, must be 50 to 99.9'),
        ({"minimum_calls": 0}, 'hedge.minimum_calls: "0" is out of range, must be at least 1'),
        ({"max_attempts": 1}, 'hedge.max_attempts: "1" is out of range, must be 2 to 5'),
        ({"max_attempts": 6}, 'hedge.max_attempts: "6" is out of range, must be 2 to 5'),
        (
            {"non_fatal_codes": ["STATUS_CODE_INVALID_ARGUMENT"]},
            "hedge.non_fatal_codes[0]: INVALID_ARGUMENT is never retryable: another attempt cannot make the request valid",
        ),
        (
            {"delay": "0.05s", "percentile": 99},
            "hedge.percentile: says how to find a delay, but `delay` is given: remove one of them",
        ),
        (
            {"delay": "0.05s", "minimum_calls": 9},
            "hedge.minimum_calls: says how to find a delay, but `delay` is given: remove one of them",
        ),
    ],
    ids=str,
)
def test_what_is_refused(hedge, problem):
    assert [problem] == read(hedge=hedge)[1]


@pytest.mark.parametrize("enabled", [True, False])
def test_the_budget_is_that_of_retries_whether_or_not_they_are_on(enabled):
    retry = {"enabled": enabled, "budget": {"ratio": 0.5}, "idempotency_key": False}

    policy, problems = read(hedge={}, retry=retry)

    assert not problems
    assert BudgetPolicy(ratio=0.5) == policy.hedge.budget
    assert not policy.hedge.idempotency_key


@pytest.mark.parametrize("enabled", [True, False])
def test_a_wrong_budget_is_reported_once(enabled):
    _, problems = read(hedge={}, retry={"enabled": enabled, "budget": {"ratio": 2}})

    assert ['retry.budget.ratio: "2" is out of range, must be 0 to 1'] == problems


def test_a_section_that_is_off_is_not_read():
    assert (None, []) == (read(hedge={"enabled": False, "max_attempts": 99})[0].hedge, [])
