"""A stream is over when nothing has come for long enough, or when it has lived long enough; never before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.mechanism.stream_clock import Over, StreamClock

SECONDS = st.floats(0.001, 1e6)


def test_a_quiet_stream_is_over_at_the_idle_timeout():
    clock = StreamClock(now=100.0, idle=5.0, max_age=None)

    assert 105.0 == clock.due
    assert clock.over(104.999) is None
    assert Over.IDLE is clock.over(105.0)


def test_each_message_begins_the_idle_timeout_anew():
    clock = StreamClock(now=100.0, idle=5.0, max_age=None)
    clock.note(104.0)

    assert clock.over(105.0) is None
    assert 109.0 == clock.due
    assert Over.IDLE is clock.over(109.0)


def test_messages_do_not_make_a_stream_younger():
    clock = StreamClock(now=100.0, idle=5.0, max_age=7.0)
    clock.note(104.0)

    assert 107.0 == clock.due
    assert Over.AGE is clock.over(107.0)


def test_without_an_idle_timeout_a_stream_may_be_quiet():
    clock = StreamClock(now=100.0, idle=None, max_age=7.0)

    assert 107.0 == clock.due
    assert clock.over(106.0) is None
    assert "due=107.0" in repr(clock)


@given(st.floats(0.0, 1e9), SECONDS, SECONDS, st.lists(SECONDS, max_size=5))
def test_who_sleeps_until_due_never_looks_in_vain_when_nothing_came(now, idle, age, steps):
    """Whatever rounding does: a stream that is due and not over would be looked at for ever."""
    clock = StreamClock(now=now, idle=idle, max_age=age)
    for step in steps:
        now += step
        clock.note(now)

    assert clock.over(clock.due) is not None
    with pytest.raises(AttributeError):
        clock.other = 1
