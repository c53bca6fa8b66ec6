"""A limit that finds what a server can do: on a modelled server, in virtual time."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.mechanism.concurrency import ConcurrencyLimit
from mesh.mechanism.gradient import Gradient
from tests.mechanism.queueing import Server

SERVICE = 0.05


def gradient(**changes) -> Gradient:
    return Gradient(**{"initial": 20, "least": 1, "most": 1000, "tolerance": 1.5, "now": 0.0, **changes})


def behind(mover: Gradient, places: int, service=lambda _: SERVICE, seed: int = 1) -> Server:
    return Server(ConcurrencyLimit(limit=mover.limit, mover=mover), places=places, service=service, seed=seed)


def overload(server: Server, seconds: float, times: float = 3.0) -> float:
    """Offer some times what the server can do; return the share of its places that was busy."""
    server.run(seconds, times * server.places / SERVICE)
    return len(server.latencies) * SERVICE / (seconds * server.places)


def median(values) -> float:
    return sorted(values)[len(values) // 2]


@settings(max_examples=8, deadline=None)
@given(
    places=st.integers(4, 40),
    tolerance=st.sampled_from((1.2, 1.5, 2.0, 3.0)),
    initial=st.sampled_from((1, 20, 300)),
    seed=st.integers(0, 1000),
)
def test_it_converges_to_what_the_server_can_do(places, tolerance, initial, seed) -> None:
    """To some `tolerance * places + sqrt(limit)`, for as long as the load goes on; the places stay busy."""
    mover = gradient(tolerance=tolerance, initial=initial)
    server = behind(mover, places, seed=seed)
    overload(server, 20.0)
    busy = overload(server, 20.0)

    expected = tolerance * places
    limit = median(server.limits)
    assert places <= limit <= 1.25 * expected + 2.0 * math.sqrt(expected) + 3.0
    assert median(server.latencies) <= SERVICE * (1.3 * tolerance + 2.0)
    assert busy > 0.93
    server.drain()
    assert 0 == server.limit.in_flight


def test_it_recovers_after_a_dip() -> None:
    """The server is four times slower for half a minute; then the limit is what it was."""
    mover = gradient()
    server = behind(mover, 20, lambda now: 4 * SERVICE if 30.0 < now < 60.0 else SERVICE)
    overload(server, 30.0)
    before = median(server.limits[-200:])

    slow = overload(server, 30.0)
    overload(server, 10.0)
    busy = overload(server, 20.0)

    assert slow * 4 > 0.6, "what is left of the server is used in the meantime"
    assert before * 0.8 <= median(server.limits) <= before * 1.25
    assert busy > 0.95


def test_it_does_not_grow_while_nobody_needs_it_to() -> None:
    mover = gradient(initial=100)
    server = behind(mover, 50)
    overload(server, 30.0, times=0.3)

    assert {100} == set(server.limits)
    assert 0 == server.refused


def test_it_grows_when_it_is_what_holds_calls_back() -> None:
    """Half of what the server can do, but more than the limit lets through."""
    mover = gradient(initial=2)
    server = behind(mover, 50)
    overload(server, 10.0, times=0.5)
    overload(server, 10.0, times=0.5)

    assert 0 == server.refused
    assert 25 <= mover.limit


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from((True, True, False, None)), st.floats(0.0, 5.0), st.floats(0.0, 3.0)),
        max_size=400,
    ),
    st.floats(1.0, 10.0),
)
def test_it_stays_within_its_bounds(calls, tolerance) -> None:
    subject, now = gradient(least=3, most=40, tolerance=tolerance), 0.0
    for ok, latency, use in calls:
        now += 0.1
        subject.learn(now - min(latency, 0.2), latency, ok, now, use)

        assert 3 <= subject.limit <= 40


def feed(subject: Gradient, now: float, latency: float, use: float = 1.0, ok: bool | None = True) -> float:
    """Let one window pass whose calls all took this long; return when it is over."""
    for _ in range(10):
        subject.learn(now, latency, ok, now + 0.1, use)
    return now + 0.1


def test_calls_that_took_no_time_say_nothing() -> None:
    """As a clock with coarse ticks has them: a latency of nothing is no baseline."""
    subject = gradient()
    feed(subject, feed(subject, 0.0, 0.0), 0.0)

    assert (20, 0.0) == (subject.limit, subject.baseline)


def test_a_clock_that_goes_back_begins_the_window_again() -> None:
    subject = gradient()
    feed(subject, 3600.0, 0.1, use=0.1)
    feed(subject, 1.0, 0.1, use=0.1)  # here it is noticed
    feed(subject, 2.0, 0.05, use=0.1)

    assert 0.05 == pytest.approx(subject.baseline)


def test_a_clock_that_goes_back_ends_the_look_for_the_baseline() -> None:
    subject, now = gradient(), 3600.0
    while subject.limit >= 20 or not subject._restored:
        now = feed(subject, now, 0.1)
    lowered = subject.limit

    subject.learn(1.0, 0.1, True, 1.1, 1.0)

    assert subject.limit > lowered


def test_a_window_counts_only_calls_that_began_in_it() -> None:
    subject = gradient()
    now = feed(subject, 0.0, 0.1)
    limit = subject.limit

    for _ in range(100):
        subject.learn(0.05, 5.0, True, now, 1.0)

    assert limit == subject.limit


def looked(subject: Gradient) -> float:
    """Let it look for the baseline, which it finds to be 0.1 s; return when it has."""
    return feed(subject, feed(subject, 0.0, 0.1), 0.1)


@pytest.mark.parametrize(("latency", "moves"), [(0.01, False), (1.0, True)])
def test_a_failure_counts_if_it_took_its_time(latency, moves) -> None:
    subject = gradient()
    now = looked(subject)
    before = subject.limit

    feed(subject, now, latency, ok=False)

    assert moves == (subject.limit < before)
    assert pytest.approx(0.1) == subject.baseline


def test_a_faster_window_is_the_new_baseline_at_once() -> None:
    subject = gradient()
    now = feed(subject, 0.0, 0.1)
    feed(subject, now, 0.05)

    assert pytest.approx(0.05) == subject.baseline


def test_slower_windows_without_a_queue_teach_the_baseline() -> None:
    subject, now = gradient(), 0.0
    now = feed(subject, now, 0.1, use=0.1)
    for _ in range(40):
        now = feed(subject, now, 0.3, use=0.1)

    assert pytest.approx(0.3, rel=0.01) == subject.baseline
    assert 20 == subject.limit


def busy_until_lowered(subject: Gradient) -> tuple[float, int]:
    now, before = looked(subject), subject.limit
    while subject.limit >= before:
        before = subject.limit
        now = feed(subject, now, 0.1)
    return now, before


def test_what_starts_under_load_looks_for_the_baseline_at_once() -> None:
    subject = gradient()
    now = feed(subject, 0.0, 0.4)
    assert 8 == subject.limit  # (20 + sqrt(20)) / 3

    feed(subject, now, 0.1)

    assert (24, pytest.approx(0.1)) == (subject.limit, subject.baseline)


def test_a_limit_that_fell_looks_for_the_baseline_again() -> None:
    """What it took for the baseline may have held some of the queue; or work takes longer by now."""
    subject = gradient()
    now = looked(subject)
    now = feed(subject, now, 0.4)
    assert 5 == subject.limit  # (24 / 2 + sqrt(24)) / 3

    feed(subject, now, 0.3)

    assert pytest.approx(0.3) == subject.baseline


def test_what_is_always_busy_is_lowered_now_and_then_to_see_the_latency_without_a_queue() -> None:
    """The window begins when no more is in flight than it allows; then the limit is back."""
    subject = gradient()
    now, before = busy_until_lowered(subject)
    lowered = subject.limit
    assert lowered < before / 2

    now = feed(subject, now, 7.0, use=1.5)
    assert pytest.approx(0.1) == subject.baseline
    feed(subject, now, 0.2)

    assert pytest.approx(0.2) == subject.baseline
    assert subject.limit > before


def test_a_call_that_hangs_does_not_keep_the_limit_low() -> None:
    subject = gradient()
    now, before = busy_until_lowered(subject)

    subject.learn(0.0, now + 5.0, True, now + 5.0, 1.5)

    assert subject.limit > before
    assert pytest.approx(0.1) == subject.baseline


def test_repr_says_where_it_stands() -> None:
    assert repr(gradient()) == "<Gradient 20.0 in [1, 1000] baseline=0>"
