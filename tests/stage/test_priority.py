"""How important a request is, from the edge to the last hop."""

from __future__ import annotations

import pytest

from mesh.call import Arity, Call, Priority, Side
from mesh.policy.policy import Policy
from mesh.policy.priority import PriorityPolicy
from mesh.stage import priority
from tests.stage.call import METHOD, Clock, scope

KEY = "mesh-priority"


def admitted(
    side: Side, metadata=(), *, default: Priority = Priority.NORMAL, parent: Call | None = None
) -> Call:
    stage = priority.build(scope(Policy(priority=PriorityPolicy(default=default)), Clock(), side=side))
    call = Call(METHOD, Arity.UNARY_UNARY, metadata=metadata, parent=parent)
    assert stage.admit(call, 0.0) is None
    return call


@pytest.mark.parametrize("level", Priority)
@pytest.mark.parametrize("side", Side)
def test_what_the_metadata_names_holds(side, level):
    call = admitted(side, (("x-other", "high"), (KEY, level.name.lower())), default=Priority.HIGH)

    assert level is call.priority
    assert [] == call.outgoing


@pytest.mark.parametrize("metadata", [(), ((KEY, "urgent"),), ((KEY, "HIGH"),), ((KEY, b"high"),)])
def test_a_server_takes_the_default_where_nothing_sensible_is_named(metadata):
    assert Priority.LOW is admitted(Side.SERVER, metadata, default=Priority.LOW).priority


@pytest.mark.parametrize("level", Priority)
def test_nested_calls_are_as_important_as_the_call_they_are_made_for(level):
    parent = Call(METHOD, Arity.UNARY_UNARY)
    parent.priority = level

    call = admitted(Side.CLIENT, parent=parent, default=Priority.HIGH)

    assert level is call.priority
    assert [(KEY, level.name.lower())] == call.outgoing


def test_a_client_that_handles_no_call_sends_the_default():
    call = admitted(Side.CLIENT, default=Priority.LOW)

    assert Priority.LOW is call.priority
    assert [(KEY, "low")] == call.outgoing


def test_without_a_policy_every_request_is_normal():
    assert priority.build(scope(Policy(), Clock())) is None
    assert Priority.NORMAL is Call(METHOD, Arity.UNARY_UNARY).priority


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (
            Side.CLIENT,
            "sends mesh-priority: the application's, else that of the call being handled, else low",
        ),
        (Side.SERVER, "reads mesh-priority; low without"),
    ],
)
def test_what_explain_says(side, expected):
    policy = Policy(priority=PriorityPolicy(default=Priority.LOW))

    assert expected == priority.describe(scope(policy, Clock(), side=side))
