"""What an operator may write about messages and streams: ranges, and what absence means."""

from __future__ import annotations

import pytest
from google.protobuf import json_format

from mesh.policy.message_limit import MessageLimitPolicy
from mesh.policy.policy import Policy
from mesh.policy.problem import Problems
from mesh.policy.stream import StreamPolicy
from mesh.v1 import policy_pb2


def read(tree: dict) -> tuple[Policy, list[str]]:
    at = Problems()
    policy = Policy.read(json_format.ParseDict(tree, policy_pb2.Policy()), at)
    return policy, [str(problem) for problem in at.list]


def test_absent_limits_are_none():
    assert StreamPolicy(idle_timeout=None, max_age=None) == read({"stream": {}})[0].stream
    assert (
        MessageLimitPolicy(max_request=None, max_response=None)
        == read({"message_limit": {}})[0].message_limit
    )
    assert read({})[0].stream is None


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        (
            {"stream": {"idle_timeout": "0s"}},
            'stream.idle_timeout: "0s" is out of range, must be at least 0.001s',
        ),
        ({"stream": {"max_age": "-1s"}}, 'stream.max_age: "-1s" is out of range, must be at least 0.001s'),
        (
            {"message_limit": {"max_request_bytes": 0}},
            'message_limit.max_request_bytes: "0" is out of range, must be at least 1',
        ),
        (
            {"message_limit": {"max_response_bytes": 0}},
            'message_limit.max_response_bytes: "0" is out of range, must be at least 1',
        ),
    ],
    ids=str,
)
def test_limits_that_let_nothing_pass_are_refused(tree, problem):
    assert [problem] == read(tree)[1]
