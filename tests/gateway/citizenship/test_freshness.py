"""What Cache-Control says in answers, by annotation, and in requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.freshness import ANYTHING, Asked, is_kept_off, read_cache_control, write_cache_control
from mesh.config.edge import Cache, CacheScope
from mesh.config.read_gateway import read_rest
from mesh.policy.problem import Problems
from mesh.v1 import rest_pb2


@pytest.mark.parametrize(
    ("cache", "written", "personal"),
    [
        (Cache(), b"public, max-age=0", b"private, max-age=0"),
        (Cache(max_age=60), b"public, max-age=60", b"private, max-age=60"),
        (Cache(max_age=60, shared_max_age=300), b"public, max-age=60, s-maxage=300", b"private, max-age=60"),
        (Cache(max_age=60, shared_max_age=0), b"public, max-age=60, s-maxage=0", b"private, max-age=60"),
        (
            Cache(max_age=60, stale_while_revalidate=30),
            b"public, max-age=60, stale-while-revalidate=30",
            b"private, max-age=60, stale-while-revalidate=30",
        ),
        (Cache(max_age=60, scope=CacheScope.PRIVATE), b"private, max-age=60", b"private, max-age=60"),
        (Cache(scope=CacheScope.NONE), b"no-store", b"no-store"),
    ],
)
def test_annotations(cache, written, personal):
    assert (written, personal) == (write_cache_control(cache), write_cache_control(cache, personal=True))


@pytest.mark.parametrize(
    ("rule", "value", "asked"),
    [
        ("none", None, ANYTHING),
        ("a reload", b"max-age=0", Asked(max_age=0.0)),
        ("a forced reload", b"no-cache", Asked(no_cache=True)),
        (
            "case-insensitive, in a list",
            b"No-Store , ONLY-IF-CACHED",
            Asked(no_store=True, only_if_cached=True),
        ),
        ("5.2: quoted arguments", b'max-age="10", min-fresh="5"', Asked(max_age=10.0, min_fresh=5.0)),
        ("unknown directives", b'foo="a, no-cache", bar=1, max-age=7', Asked(max_age=7.0)),
        (
            "no number: the strictest",
            b"max-age=soon, min-fresh=x",
            Asked(max_age=0.0, min_fresh=2147483648.0),
        ),
        ("1.2.2: too large is for ever", b"max-age=" + b"9" * 5000, Asked(max_age=2147483648.0)),
        ("what allows staleness", b"max-stale=10", ANYTHING),
    ],
)
def test_requests(rule, value, asked):
    assert asked == read_cache_control(value), rule


@given(st.binary(max_size=80))
def test_no_header_breaks_it(value):
    read_cache_control(value)


@pytest.mark.parametrize(
    ("value", "off"),
    [(b"public, max-age=5", False), (b"Private", True), (b"no-store", True), (b"max-age=0", True)],
)
def test_a_backend_can_keep_its_answer_off(value, off):
    assert off == is_kept_off(value)


def test_a_store_without_a_lifetime_is_a_problem():
    problems = Problems("rest")
    read_rest(rest_pb2.Rest(cache=rest_pb2.Cache(store=True)), problems)
    assert [str(problem) for problem in problems.list] == [
        "rest.cache.store: without max_age, shared_max_age or stale_while_revalidate no answer is fresh for a moment"
    ]
