"""Messages larger than their direction allows are refused, with both sizes in the words."""

from __future__ import annotations

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from mesh.call import Arity, Call, Direction, Side
from mesh.policy.message_limit import MessageLimitPolicy
from mesh.policy.policy import Policy
from mesh.stage import message_limit
from tests.stage.call import METHOD, Clock, scope

CALL = Call(METHOD, Arity.UNARY_UNARY)
BOTH = Policy(message_limit=MessageLimitPolicy(max_request=10, max_response=20))


def build(side: Side = Side.CLIENT, policy: Policy = BOTH):
    stage = message_limit.build(scope(policy, Clock(), side=side))
    assert stage is not None
    return stage


def hear(stage, message, direction):
    return stage.message(CALL, None, message, direction, 0.0)


def test_a_client_sends_requests_and_receives_responses():
    stage = build(Side.CLIENT)

    assert hear(stage, bytes(10), Direction.SENT) is None
    refused = hear(stage, bytes(11), Direction.SENT)
    assert 8 == refused.code
    assert "message_limit" == refused.rejected_by
    assert f"the request has 11 bytes; {METHOD} takes 10" == refused.details
    assert hear(stage, bytes(20), Direction.RECEIVED) is None
    assert (
        f"the response has 21 bytes; {METHOD} takes 20" == hear(stage, bytes(21), Direction.RECEIVED).details
    )


def test_a_server_receives_requests_and_sends_responses():
    stage = build(Side.SERVER)

    assert hear(stage, bytes(11), Direction.RECEIVED).details.startswith("the request")
    assert hear(stage, bytes(21), Direction.SENT).details.startswith("the response")
    assert hear(stage, bytes(20), Direction.SENT) is None


def test_the_size_is_that_of_the_wire_form():
    message = BytesValue(value=bytes(9))
    assert 11 == len(message.SerializeToString())

    assert hear(build(), message, Direction.SENT) is not None
    assert hear(build(), BytesValue(value=bytes(8)), Direction.SENT) is None


def test_what_only_its_serializer_can_measure_passes():
    assert hear(build(), {"text": "x" * 100}, Direction.SENT) is None


def test_a_direction_without_a_limit_passes_everything():
    stage = build(policy=Policy(message_limit=MessageLimitPolicy(max_response=20)))

    assert hear(stage, bytes(1000), Direction.SENT) is None


@pytest.mark.parametrize("policy", [Policy(), Policy(message_limit=MessageLimitPolicy())], ids=repr)
def test_without_a_limit_there_is_no_stage(policy):
    assert message_limit.build(scope(policy, Clock())) is None


def test_what_explain_says():
    assert "requests of at most 10 bytes, responses of at most 20 bytes" == message_limit.describe(
        scope(BOTH, Clock())
    )
