"""A server's load is what is in flight and what ended lately."""

from __future__ import annotations

import pytest

from mesh.mechanism.load import Load


def test_steady_traffic_reads_as_its_rate() -> None:
    """20 calls a second, a quarter of them errors; a call that says nothing is a call and no error."""
    load = Load(window=10.0, now=100.0)
    for number in range(1000):
        now = 100.0 + number / 20
        load.begin(now)
        load.end(now, (True, False, None, True)[number % 4])

    assert load.rates(150.0) == pytest.approx((20.0, 5.0), rel=0.03)


def test_rates_fall_to_zero_when_traffic_stops() -> None:
    load = Load(window=10.0, now=0.0)
    load.begin(0.0)
    load.end(0.0, False)

    assert load.rates(0.5) == (1.0, 1.0), "never divided by less than a bucket: one call is not two a second"
    assert load.rates(5.0) == (0.2, 0.2)
    assert load.rates(10.0) == (0.0, 0.0)


def test_in_flight_is_begun_and_not_ended() -> None:
    load = Load(now=0.0)
    load.begin(0.0)
    load.begin(0.0)
    load.end(1.0, None)

    assert load.in_flight == 1
    assert repr(load) == "<Load in_flight=1 <RateWindow 1 calls, 0 failures in 10 s>>"
