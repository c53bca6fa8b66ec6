"""Which request targets, hosts and methods are refused before anything else looks at them."""

from __future__ import annotations

import pytest

from gateway.edge.host import KnownHosts, is_host
from gateway.edge.override import overridden
from gateway.edge.security import standing_headers
from gateway.edge.target import check_target, misformed
from gateway.problem import RequestProblem

PLAIN = [
    b"/", b"/v1/books/one", b"//v1", b"/v1/a.b", b"/v1/...", b"/v1/.well-known", b"/v1/a..b/c", b"/v1/a%2F..%2Fb",
    b"/v1/%5C", b"/v1/%2e%2e%2e", b"/v1/100%25",
]  # fmt: skip


@pytest.mark.parametrize("path", PLAIN)
def test_paths_that_pass(path):
    check_target(path, b"", 100)


REFUSED = [
    (b"/..", '"." or ".."'),
    (b"/v1/../admin", '"." or ".."'),
    (b"/v1/./books", '"." or ".."'),
    (b"/v1/books/.", '"." or ".."'),
    (b"/v1/%2e%2E/admin", '"." or ".."'),
    (b"/v1/.%2e", '"." or ".."'),
    (b"/v1/a%00b", "NUL"),
    (b"/v1/..\\admin", "send it as %5C"),
]


@pytest.mark.parametrize(("path", "rule"), REFUSED)
def test_paths_that_others_read_otherwise(path, rule):
    with pytest.raises(RequestProblem, match=rule) as refused:
        check_target(path, b"", 100)
    assert refused.value.http_status is None


def test_the_length_counts_path_question_mark_and_query():
    check_target(b"/1234", b"1234", 10)
    with pytest.raises(RequestProblem, match="has 11 bytes, and the limit is 10") as refused:
        check_target(b"/1234", b"12345", 10)
    assert refused.value.http_status == 414


@pytest.mark.parametrize("path", [b"", b"*", b"foo", b"http://x/"])
def test_what_is_no_path(path):
    assert misformed(path) is not None
    assert misformed(b"/" + path) is None


@pytest.mark.parametrize(
    "host", [b"x", b"api.example:8080", b"127.0.0.1", b"[::1]:80", b"a_b.example", b"xn--bcher-kva.example."]
)
def test_hosts(host):
    assert is_host(host)


@pytest.mark.parametrize(
    "host", [b"", b"a b", b"u:p@x", b"x/y", b"x,y", b"x:port", b"\xc3\xa4", b"a" * 400, b"[::1", b"x?", b"x#"]
)
def test_what_is_no_host(host):
    assert not is_host(host)


def test_hosts_remembered_are_bounded():
    known = KnownHosts()
    for number in range(3000):
        assert known[b"h%d" % number]
    assert len(known) <= 1024


def override(method: str, *values: str) -> str:
    return overridden(method, [(b"x-http-method-override", value.encode()) for value in values])


def test_a_post_may_become_what_changes_things():
    assert [override("POST", method) for method in ("PUT", "PATCH", "DELETE")] == ["PUT", "PATCH", "DELETE"]
    assert override("POST") == "POST"
    assert override("GET") == "GET"


@pytest.mark.parametrize(
    ("method", "values", "rule"),
    [
        ("POST", ("GET",), '"GET" is not PUT, PATCH or DELETE'),
        ("POST", ("CONNECT",), "is not PUT"),
        ("POST", ("put",), "is not PUT"),
        ("POST", ("",), "is not PUT"),
        ("POST", ("PUT", "PUT"), "given twice"),
        ("GET", ("DELETE",), "is for POST only, and this is GET"),
    ],
)
def test_overrides_that_are_refused(method, values, rule):
    with pytest.raises(RequestProblem, match=rule):
        override(method, *values)


def test_only_tls_is_to_be_stayed_with():
    # RFC 6797, 7.2: not over plain HTTP.
    assert [name for name, _ in standing_headers(enabled=True, secure=True)] == [
        b"x-content-type-options",
        b"strict-transport-security",
    ]
    assert standing_headers(enabled=True, secure=False) == ((b"x-content-type-options", b"nosniff"),)
    assert standing_headers(enabled=False, secure=True) == ()
