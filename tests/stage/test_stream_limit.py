"""Streams end with ABORTED when they are quiet for too long, or too old; calls without a stream do not."""

from __future__ import annotations

import pytest

from mesh.call import Arity, Call, Direction
from mesh.engine import Chain
from mesh.policy.policy import Policy
from mesh.policy.stream import StreamPolicy
from mesh.stage import stream_limit
from tests.stage.call import METHOD, Clock, scope

POLICY = Policy(stream=StreamPolicy(idle_timeout=5.0, max_age=60.0))


def build(policy: Policy = POLICY, arity: Arity = Arity.STREAM_STREAM):
    return stream_limit.build(scope(policy, Clock(), arity=arity))


def test_a_quiet_stream_is_aborted():
    watch = build().admit(Call(METHOD, Arity.STREAM_STREAM), 100.0)

    assert 105.0 == watch.due
    assert watch.look(104.0) is None
    ended = watch.look(105.0)
    assert 10 == ended.code
    assert "stream_limit" == ended.rejected_by
    assert "the stream had no message for 5.0s, its limit" == ended.details
    assert "due=105.0" in repr(watch)


@pytest.mark.parametrize("direction", Direction)
def test_messages_of_both_directions_keep_a_stream_alive_until_it_is_old(direction):
    stage, call = build(), Call(METHOD, Arity.STREAM_STREAM)
    watch = stage.admit(call, 100.0)
    for now in range(101, 160):
        assert watch.look(float(now)) is None
        stage.message(call, watch, b"", direction, float(now))

    assert "the stream is 60.0s old, its limit" == watch.look(160.0).details


def test_a_chain_with_it_listens():
    assert Chain((build(),)).listens


@pytest.mark.parametrize(
    ("policy", "arity", "why"),
    [
        (Policy(), Arity.STREAM_STREAM, "not configured"),
        (Policy(stream=StreamPolicy()), Arity.STREAM_STREAM, "not configured"),
        (POLICY, Arity.UNARY_UNARY, "the method has no stream"),
    ],
)
def test_where_nothing_is_limited_there_is_no_stage(policy, arity, why):
    assert build(policy, arity) is None
    assert why == stream_limit.absent(scope(policy, Clock(), arity=arity))


def test_what_explain_says():
    assert "at most 5s without a message, at most 60s in all" == stream_limit.describe(scope(POLICY, Clock()))
    only = Policy(stream=StreamPolicy(max_age=60.0))
    assert "at most 60s in all" == stream_limit.describe(scope(only, Clock()))
