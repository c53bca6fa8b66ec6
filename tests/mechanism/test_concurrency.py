"""No more than `limit` are in flight, and every slot comes back."""

from __future__ import annotations

from itertools import product

import pytest

from mesh.mechanism.concurrency import ConcurrencyLimit


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
                subject.release()
                held -= 1
            assert held == subject.in_flight


def test_repr_says_how_full_it_is() -> None:
    subject = ConcurrencyLimit(limit=2)
    subject.try_acquire()

    assert repr(subject) == "<ConcurrencyLimit 1/2>"
