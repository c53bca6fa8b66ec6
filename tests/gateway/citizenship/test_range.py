"""One range of bytes is served, what is not one is ignored, what lies behind the end is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.range import UNSATISFIABLE, Part, read_range


@pytest.mark.parametrize(
    ("rule", "value", "size", "part"),
    [
        ("first and last", b"bytes=2-4", 10, Part(2, 4)),
        ("one byte", b"bytes=0-0", 10, Part(0, 0)),
        ("open end", b"bytes=7-", 10, Part(7, 9)),
        ("the last ones", b"bytes=-3", 10, Part(7, 9)),
        ("14.1: range units are case-insensitive", b"Bytes=2-4", 10, Part(2, 4)),
        ("14.1.2: beyond the end is the remainder", b"bytes=5-99", 10, Part(5, 9)),
        ("14.1.2: a longer suffix is the whole", b"bytes=-99", 10, Part(0, 9)),
        ("14.1.2: no bytes from the end", b"bytes=-0", 10, UNSATISFIABLE),
        ("behind the end", b"bytes=10-", 10, UNSATISFIABLE),
        ("nothing there at all", b"bytes=0-", 0, UNSATISFIABLE),
        ("nothing there, from the end", b"bytes=-5", 0, UNSATISFIABLE),
        ("14.1.1: last before first is invalid", b"bytes=4-2", 10, None),
        ("14.2: another unit", b"items=0-1", 10, None),
        ("14.2: several ranges", b"bytes=0-1,4-5", 10, None),
        ("neither first nor last", b"bytes=-", 10, None),
        ("not a number", b"bytes=a-b", 10, None),
        ("a sign", b"bytes=+1-2", 10, None),
        ("more digits than any file has bytes", b"bytes=0-" + b"9" * 5000, 10, None),
    ],
)
def test_ranges(rule, value, size, part):
    assert part == read_range(value, size), rule


@given(st.binary(max_size=30), st.integers(0, 20))
def test_whatever_is_sent_the_part_is_within_the_content(value, size):
    part = read_range(b"bytes=" + value, size)
    assert part in {None, UNSATISFIABLE} or 0 <= part.first <= part.last < size
