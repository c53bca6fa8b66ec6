"""A limit that creeps up while it is used and all is well, and steps down once for each overload."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.mechanism.aimd import Aimd
from mesh.mechanism.concurrency import ConcurrencyLimit
from tests.mechanism.queueing import Server


def aimd(**changes) -> Aimd:
    return Aimd(
        **{"initial": 10, "least": 2, "most": 20, "ratio": 0.5, "threshold": 1.0, "now": 0.0, **changes}
    )


def test_a_limits_worth_of_answers_raises_it_by_one() -> None:
    subject = aimd()
    for _ in range(10):
        subject.learn(1.0, 0.5, True, 1.5, 1.0)
    assert 10 == subject.limit  # the share shrinks as the limit grows

    subject.learn(1.0, 0.5, True, 1.5, 1.0)

    assert 11 == subject.limit


@pytest.mark.parametrize(("latency", "ok"), [(1.1, True), (0.1, False)])
def test_a_sign_of_overload_lowers_it(latency, ok) -> None:
    subject = aimd()
    subject.learn(1.0, latency, ok, 2.5, 1.0)

    assert 5 == subject.limit


def test_one_overload_lowers_it_once() -> None:
    """What began before the limit was lowered tells nothing of the lower one."""
    subject = aimd()
    for _ in range(5):
        subject.learn(1.0, 0.1, False, 2.0, 1.0)
    assert 5 == subject.limit

    subject.learn(2.0, 0.1, False, 3.0, 1.0)

    assert 2 == subject.limit


def test_after_a_clock_that_went_back_overload_is_still_heard() -> None:
    subject = aimd()
    subject.learn(3600.0, 0.1, False, 3600.1, 1.0)
    subject.learn(1.0, 0.1, False, 1.1, 1.0)

    assert 2 == subject.limit


def test_what_is_not_used_does_not_grow() -> None:
    subject = aimd()
    for _ in range(100):
        subject.learn(1.0, 0.1, True, 1.1, 0.49)

    assert 10 == subject.limit


def test_what_says_nothing_moves_nothing() -> None:
    subject = aimd()
    subject.learn(1.0, 9.0, None, 10.0, 1.0)

    assert 10 == subject.limit


def test_without_a_threshold_no_latency_is_too_long() -> None:
    subject = aimd(threshold=None)
    subject.learn(1.0, 1e6, True, 1e6, 1.0)

    assert 10 == subject.limit


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from((True, False, None)), st.floats(0.0, 5.0), st.floats(0.0, 3.0)),
        max_size=300,
    )
)
def test_it_stays_within_its_bounds(calls) -> None:
    subject, now = aimd(), 0.0
    for ok, latency, use in calls:
        now += latency
        subject.learn(now - latency, latency, ok, now, use)

        assert 2 <= subject.limit <= 20


@pytest.mark.parametrize("places", [2, 10, 40])
def test_latency_stays_about_the_threshold_under_threefold_load(places) -> None:
    """0.05 s of work and a threshold of 0.15 s: the queue is at most some two services long, the places stay busy."""
    mover = Aimd(initial=20, least=1, most=1000, ratio=0.9, threshold=0.15, now=0.0)
    server = Server(ConcurrencyLimit(limit=20, mover=mover), places=places, service=lambda _: 0.05, seed=3)
    server.run(20.0, 3 * places / 0.05)
    server.run(20.0, 3 * places / 0.05)

    assert max(server.latencies) < 0.25
    assert len(server.latencies) * 0.05 / (20.0 * places) > 0.95
    server.drain()
    assert 0 == server.limit.in_flight


def test_repr_says_where_it_stands() -> None:
    assert repr(aimd()) == "<Aimd 10.0 in [2, 20]>"
