"""Messages of streams are counted by direction, where the policy asks for it."""

from __future__ import annotations

import pytest

from mesh.call import Arity, Call, Direction, Side
from mesh.policy.observe import MetricsPolicy
from mesh.policy.policy import Policy
from mesh.stage import message_metrics
from tests.stage.call import METHOD, Clock, scope

POLICY = Policy(metrics=MetricsPolicy(messages=True))


@pytest.mark.parametrize("side", Side)
def test_each_direction_is_counted(side):
    where = scope(POLICY, Clock(), side=side, arity=Arity.STREAM_STREAM)
    stage = message_metrics.build(where)
    call = Call(METHOD, Arity.STREAM_STREAM)
    for direction in (Direction.SENT, Direction.RECEIVED, Direction.RECEIVED):
        assert stage.message(call, None, b"", direction, 0.0) is None

    counted = {
        dict(series.attributes)["mesh.direction"]: series.value
        for series in where.telemetry.aggregates.snapshot()
        if series.instrument.name == f"mesh.{side.value}.messages"
    }

    assert {"sent": 1, "received": 2} == counted
    assert f"mesh.{side.value}.messages by direction" == message_metrics.describe(where)


@pytest.mark.parametrize(
    ("policy", "arity", "why"),
    [
        (Policy(), Arity.STREAM_STREAM, "not configured"),
        (Policy(metrics=MetricsPolicy()), Arity.STREAM_STREAM, "not configured"),
        (POLICY, Arity.UNARY_UNARY, "the method has no stream"),
    ],
)
def test_where_nothing_is_counted_there_is_no_stage(policy, arity, why):
    where = scope(policy, Clock(), arity=arity)

    assert message_metrics.build(where) is None
    assert why == message_metrics.absent(where)
