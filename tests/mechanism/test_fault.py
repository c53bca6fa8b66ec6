"""Faults: drawn by share, or asked for by a request in a strict form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.mechanism.fault import NONE, Fault, choose, parse

CODES = {"UNAVAILABLE": 14, "INTERNAL": 13}


@given(st.floats(0.0, 1.0, exclude_max=True), st.floats(0.0, 1.0, exclude_max=True))
def test_each_kind_has_its_own_draw(u, v):
    chosen = choose(delay=0.2, delay_share=0.3, code=14, abort_share=0.6, u=u, v=v)

    assert Fault(0.2 if u < 0.3 else 0.0, 14 if v < 0.6 else 0) == chosen


@given(st.floats(0.0, 1.0, exclude_max=True))
def test_no_share_is_never_and_the_whole_is_always(u):
    assert NONE == choose(delay=1.0, delay_share=0.0, code=14, abort_share=0.0, u=u, v=u)
    assert Fault(1.0, 14) == choose(delay=1.0, delay_share=1.0, code=14, abort_share=1.0, u=u, v=u)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("delay=0.5s", Fault(0.5)),
        ("delay=250ms", Fault(0.25)),
        ("abort=UNAVAILABLE", Fault(0.0, 14)),
        ("delay=1s, abort=INTERNAL", Fault(1.0, 13)),
        ("abort = INTERNAL,delay = 1s", Fault(1.0, 13)),
        ("delay=3600s", Fault(3600.0)),
    ],
)
def test_what_a_request_may_ask_for(text, expected):
    assert expected == parse(text, CODES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", '"" is not a fault; known: delay, abort'),
        ("delay=1s,", '"" is not a fault; known: delay, abort'),
        ("latency=1s", '"latency" is not a fault; known: delay, abort'),
        ("delay=1s, delay=2s", '"delay" is given twice'),
        ("delay=1", 'delay "1" is not a duration of at most 3600s, such as 0.5s or 500ms'),
        ("delay=-1s", 'delay "-1s" is not a duration of at most 3600s, such as 0.5s or 500ms'),
        ("delay=3601s", 'delay "3601s" is not a duration of at most 3600s, such as 0.5s or 500ms'),
        ("delay", 'delay "" is not a duration of at most 3600s, such as 0.5s or 500ms'),
        ("abort=14", 'abort "14" is not the name of an error, such as UNAVAILABLE'),
        ("abort=OK", 'abort "OK" is not the name of an error, such as UNAVAILABLE'),
    ],
)
def test_what_it_may_not(text, expected):
    assert expected == parse(text, CODES)


@given(st.text())
def test_no_text_breaks_it(text):
    assert isinstance(parse(text, CODES), Fault | str)
