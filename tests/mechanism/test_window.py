"""What the window counts is bounded from both sides by the exact list of events."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.mechanism.window import RateWindow

# Eighths of a second are exact in binary, so that the bounds below can be too.
STEPS = st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=60)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.sampled_from((1, 2, 4, 8)), st.integers(0, 100))
def test_counts_every_recent_event_and_no_old_one(
    steps: list[tuple[int, bool]], buckets: int, idle: int
) -> None:
    """Certainly counted when younger than span minus one bucket, certainly forgotten when older than the span."""
    span, now = 4.0, 0.0
    window = RateWindow(span=span, buckets=buckets, now=now)
    events = []
    for eighths, ok in steps:
        now += eighths / 8
        window.record(ok, now)
        events.append((now, ok))
    now += idle / 8

    for counted, matching in (
        (window.total(now), [at for at, _ in events]),
        (window.failures(now), [at for at, ok in events if not ok]),
    ):
        assert sum(now - at < span - span / buckets for at in matching) <= counted
        assert counted <= sum(now - at < span for at in matching)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_covered_lies_between_one_bucket_and_the_span(steps: list[tuple[int, bool]]) -> None:
    now = 5.0
    window = RateWindow(span=4.0, buckets=4, now=now)
    for eighths, ok in steps:
        now += eighths / 8
        window.record(ok, now)

        assert max(1.0, min(now - 5.0, 3.0)) <= window.covered(now) <= 4.0


def test_reset_forgets_everything() -> None:
    window = RateWindow(span=4.0, buckets=4, now=0.0)
    for now in (0.0, 1.0, 2.0, 3.0):
        window.record(False, now)

    window.reset(3.0)

    assert (window.total(3.0), window.failures(3.0), window.covered(3.0)) == (0, 0, 1.0)


def test_reading_rolls_the_window_on() -> None:
    """Each reader alone, not only `record`, forgets what is old."""
    for read in (RateWindow.total, RateWindow.failures):
        window = RateWindow(span=4.0, buckets=4, now=0.0)
        window.record(False, 0.0)

        assert [read(window, 3.9), read(window, 4.0)] == [1, 0]
    window = RateWindow(span=4.0, buckets=4, now=0.0)

    assert [window.covered(1.5), window.covered(3.875), window.covered(6.5)] == [1.5, 3.875, 3.5]


def test_clock_that_goes_back_counts_into_the_newest_bucket() -> None:
    window = RateWindow(span=4.0, buckets=4, now=100.0)
    window.record(True, 103.0)
    window.record(False, 99.5)

    assert (window.total(99.5), window.failures(106.5)) == (2, 1)
    assert window.total(107.0) == 0


def test_clock_that_goes_back_by_more_than_the_span_begins_anew() -> None:
    window = RateWindow(span=4.0, buckets=4, now=3600.0)
    for now in (3600.0, 3602.0, 3603.5):
        window.record(True, now)
    window.record(False, 50.0)

    assert (window.total(50.0), window.failures(53.5), window.covered(52.0)) == (1, 1, 2.0)
    assert window.total(54.0) == 0


def test_asking_twice_at_one_time_gives_one_answer() -> None:
    """Ten pieces of 0.8 s have edges that binary cannot write; the edge a time falls on is decided once."""
    for sixteenths in range(1, 31):
        window, now = RateWindow(span=8.0, now=0.0), 0.0
        for _ in range(60):
            now += sixteenths / 16

            assert window.failures(now) == window.failures(now)

            window.record(False, now)


def test_repr_says_what_it_counts() -> None:
    window = RateWindow(span=4.0, now=0.0)
    window.record(False, 0.0)

    assert repr(window) == "<RateWindow 1 calls, 1 failures in 4 s>"
