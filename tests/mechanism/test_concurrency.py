"""No more than the limit are in flight, what matters least is refused first, and every slot comes back."""

from __future__ import annotations

from itertools import product

import pytest

from mesh.mechanism.concurrency import ConcurrencyLimit


class Told:
    """A mover that is told what the limit is, and notes what it hears."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.heard: list[tuple[float, float, bool | None, float, float]] = []

    def learn(self, began: float, latency: float, ok: bool | None, now: float, use: float) -> None:
        self.heard.append((began, latency, ok, now, use))


class Broken(Told):
    def learn(self, began: float, latency: float, ok: bool | None, now: float, use: float) -> None:
        raise ZeroDivisionError


def test_a_slot_comes_back_whatever_the_mover_makes_of_it() -> None:
    subject = ConcurrencyLimit(limit=1, mover=Broken(1))
    assert subject.try_acquire()
    with pytest.raises(ZeroDivisionError):
        subject.release(0.0, True, 1.0)

    assert 0 == subject.in_flight


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_every_sequence_of_seven_inputs(limit: int) -> None:
    """In flight is what was granted and not released, and what is refused would exceed the limit."""
    for sequence in product(("acquire", "release"), repeat=7):
        subject, held = ConcurrencyLimit(limit=limit), 0
        for action in sequence:
            if action == "acquire":
                granted = subject.try_acquire()
                assert granted == (held < limit)
                held += granted
            elif held:
                subject.release(0.0, True, 1.0)
                held -= 1
            assert held == subject.in_flight


def test_every_sequence_of_levels_and_limits_of_seven_inputs() -> None:
    """A level is granted a slot if fewer than its share are in flight, at least one, whoever holds them."""
    shares = (0.3, 0.5, 1.0)
    for sequence in product((0, 1, 2, "release", "raise", "lower"), repeat=5):
        mover = Told(4)
        subject, held = ConcurrencyLimit(limit=4, shares=shares, mover=mover), 0
        for action in (2, *sequence, 0):
            if action in {"raise", "lower"}:
                mover.limit = 6 if action == "raise" else 1
            elif action == "release":
                if held:
                    subject.release(0.0, None, 0.0)
                    held -= 1
                    assert mover.limit == subject.limit, "a limit moves when a slot comes back"
            else:
                granted = subject.try_acquire(action)
                assert granted == (held < max(1, int(subject.limit * shares[action])))
                held += granted
            assert held == subject.in_flight


def test_what_a_mover_hears() -> None:
    """The share of the limit that was in flight, at least all of it once anybody was refused since the last release."""
    mover = Told(2)
    subject = ConcurrencyLimit(limit=2, shares=(0.5, 1.0), mover=mover)
    subject.try_acquire(1)
    subject.release(1.0, True, 3.0)
    subject.try_acquire(0)
    assert not subject.try_acquire(0)
    subject.release(2.0, False, 3.0, 2.5)
    subject.try_acquire(1)
    subject.try_acquire(1)
    mover.limit = 1
    subject.release(3.0, None, 4.0)
    subject.release(3.0, None, 4.0)

    assert mover.heard == [
        (1.0, 2.0, True, 3.0, 0.5),
        (2.0, 0.5, False, 3.0, 1.0),
        (3.0, 1.0, None, 4.0, 1.0),
        (3.0, 1.0, None, 4.0, 1.0),
    ]


def test_how_long_slots_are_held_is_a_moving_mean() -> None:
    subject = ConcurrencyLimit(limit=2)
    assert 0.0 == subject.duration
    for _ in range(2):
        subject.try_acquire()
    subject.release(0.0, None, 2.0)
    assert 2.0 == subject.duration

    subject.release(0.0, True, 3.0)

    assert pytest.approx(2.1) == subject.duration


def test_repr_says_how_full_it_is() -> None:
    subject = ConcurrencyLimit(limit=2)
    subject.try_acquire()

    assert repr(subject) == "<ConcurrencyLimit 1/2>"
