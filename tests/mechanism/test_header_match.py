"""Conditions on metadata: each kind, values given twice, bytes."""

from __future__ import annotations

import pytest

from mesh.mechanism.header_match import HeaderMatcher, MatchKind

METADATA = (("x-user", "alice"), ("x-group", "beta"), ("x-group", "staff"), ("x-raw-bin", b"alice"))


@pytest.mark.parametrize(
    ("name", "kind", "value", "expected"),
    [
        ("x-user", MatchKind.EXACT, "alice", True),
        ("x-user", MatchKind.EXACT, "ali", False),
        ("x-user", MatchKind.PREFIX, "ali", True),
        ("x-user", MatchKind.PREFIX, "lice", False),
        ("x-user", MatchKind.REGEX, "a.*e", True),
        ("x-user", MatchKind.REGEX, "lic", False),
        ("x-group", MatchKind.EXACT, "staff", True),
        ("x-group", MatchKind.PRESENT, "", True),
        ("x-none", MatchKind.PRESENT, "", False),
        ("x-none", MatchKind.ABSENT, "", True),
        ("x-user", MatchKind.ABSENT, "", False),
        ("x-none", MatchKind.EXACT, "", False),
        ("x-raw-bin", MatchKind.PREFIX, "", False),
        ("x-raw-bin", MatchKind.PRESENT, "", True),
    ],
)
def test_each_kind(name, kind, value, expected):
    assert expected is HeaderMatcher(name=name, kind=kind, value=value).matches(METADATA)


def test_it_shows_what_it_asks():
    assert "<HeaderMatcher x-user begins with a>" == repr(
        HeaderMatcher(name="x-user", kind=MatchKind.PREFIX, value="a")
    )
