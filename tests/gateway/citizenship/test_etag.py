"""Tags stand for bytes; preconditions compare them as RFC 9110 says."""

from __future__ import annotations

import pytest

from gateway.edge.etag import Verdict, is_current, judge, refuse_unjudged, strong, weak
from gateway.problem import RequestProblem


def test_a_tag_stands_for_bytes_in_every_process():
    assert strong(b'{"id":"one"}') == strong(b'{"id":"one"}') != strong(b'{"id":"two"}')
    assert strong(b"") == b'"da39a3ee5e6b4b0d3255bfef95601890afd80709"'
    assert weak(strong(b"")) == b'W/"da39a3ee5e6b4b0d3255bfef95601890afd80709"' == weak(weak(strong(b"")))


@pytest.mark.parametrize(
    ("rule", "tag", "if_match", "if_none_match", "verdict"),
    [
        ("no precondition", b'"a"', None, None, Verdict.PROCEED),
        ("13.1.2: a match means not modified", b'"a"', None, b'"a"', Verdict.NOT_MODIFIED),
        ("13.1.2: weak comparison", b'W/"a"', None, b'"a"', Verdict.NOT_MODIFIED),
        ("13.1.2: weak comparison, the other way", b'"a"', None, b'W/"a"', Verdict.NOT_MODIFIED),
        ("13.1.2: any of a list", b'"a"', None, b'"b", W/"a" ,"c"', Verdict.NOT_MODIFIED),
        ("13.1.2: none of a list", b'"a"', None, b'"b","c"', Verdict.PROCEED),
        ("13.1.2: * is whatever there is", b'"a"', None, b" * ", Verdict.NOT_MODIFIED),
        ("8.8.3: a comma within a tag does not end it", b'"b"', None, b'"a,"b","c"', Verdict.PROCEED),
        ("8.8.3: a tag without quotes is none", b'"a"', None, b"a", Verdict.PROCEED),
        ("8.8.3: case matters", b'"a"', None, b'"A"', Verdict.PROCEED),
        ("13.1.1: a match", b'"a"', b'"a"', None, Verdict.PROCEED),
        ("13.1.1: no match", b'"a"', b'"b"', None, Verdict.FAILED),
        ("13.1.1: strong comparison", b'"a"', b'W/"a"', None, Verdict.FAILED),
        ("13.1.1: strong comparison, the other way", b'W/"a"', b'"a"', None, Verdict.FAILED),
        ("13.1.1: * is whatever there is", b'W/"a"', b"*", None, Verdict.PROCEED),
        ("13.2.2: If-Match comes first", b'"a"', b'"b"', b'"a"', Verdict.FAILED),
        ("13.2.2: then If-None-Match", b'"a"', b'"a"', b'"a"', Verdict.NOT_MODIFIED),
    ],
)
def test_preconditions(rule, tag, if_match, if_none_match, verdict):
    assert verdict is judge(tag, if_match, if_none_match), rule


@pytest.mark.parametrize(
    ("if_range", "tag", "current"),
    [
        (b'"a"', b'"a"', True),
        (b' "a" ', b'"a"', True),
        (b'"b"', b'"a"', False),
        (b'W/"a"', b'W/"a"', False),
        (b"Mon, 23 Nov 2026 22:00:00 GMT", b'"a"', False),
    ],
)
def test_if_range_compares_strongly(if_range, tag, current):
    assert current == is_current(if_range, tag)


def test_a_change_under_a_condition_nobody_here_can_judge_is_refused():
    for name in (b"if-match", b"if-none-match"):
        with pytest.raises(RequestProblem) as caught:
            refuse_unjudged("PUT", {name: b'"a"'})
        assert (caught.value.http_status, caught.value.code) == (412, 9)
    refuse_unjudged("GET", {b"if-match": b'"a"'})
    refuse_unjudged("POST", {b"cache-control": b"no-cache", b"range": b"bytes=0-1"})
