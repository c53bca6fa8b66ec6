"""Whom a request comes from, with proxies in front: what trusted ones said, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.forwarded import Caller, Proxies, read_forwarded
from gateway.problem import RequestProblem

PROXIES = Proxies(("10.0.0.0/8", "2001:db8::/32"))
PROXY = "10.0.0.1"


def read(peer: str, *headers: tuple[str, str]) -> Caller:
    return PROXIES.read(peer, [(name.encode(), value.encode("latin-1")) for name, value in headers])


ROWS = [
    # rule, peer, headers, addresses, scheme, host
    ("nobody is believed who is not trusted", "192.0.2.1",
     [("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=1.1.1.1;proto=https")], ("192.0.2.1",), "", ""),
    ("a trusted proxy that says nothing is the client", PROXY, [], (PROXY,), "", ""),
    ("the last entry is the proxy's", PROXY, [("x-forwarded-for", "1.1.1.1, 203.0.113.9")],
     ("203.0.113.9", PROXY), "", ""),
    ("the walk goes on through trusted proxies", PROXY, [("x-forwarded-for", "1.1.1.1, 203.0.113.9, 10.0.0.2")],
     ("203.0.113.9", "10.0.0.2", PROXY), "", ""),
    ("lines are one list", PROXY, [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "203.0.113.9")],
     ("203.0.113.9", PROXY), "", ""),
    ("everybody trusted: the first is the client", PROXY, [("x-forwarded-for", "10.0.0.3, 10.0.0.2")],
     ("10.0.0.3", "10.0.0.2", PROXY), "", ""),
    ("a port is left out", PROXY, [("x-forwarded-for", "203.0.113.9:4711")], ("203.0.113.9", PROXY), "", ""),
    ("an address in brackets", PROXY, [("x-forwarded-for", "[2001:DB8:0::5]:80")], ("2001:db8::5", PROXY), "", ""),
    ("an address of another protocol's form", "::ffff:10.0.0.1", [("x-forwarded-for", "203.0.113.9")],
     ("203.0.113.9", PROXY), "", ""),
    ("nobody known ends the walk", PROXY, [("x-forwarded-for", "203.0.113.9, unknown")], (PROXY,), "", ""),
    ("an empty entry ends the walk", PROXY, [("x-forwarded-for", "203.0.113.9, ")], (PROXY,), "", ""),
    ("scheme and host", PROXY,
     [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "HTTPS"), ("x-forwarded-host", "api.example:8443")],
     ("203.0.113.9", PROXY), "https", "api.example:8443"),
    ("scheme and host alone", PROXY, [("x-forwarded-proto", "https")], (PROXY,), "https", ""),
    ("lists of one length go together", PROXY,
     [("x-forwarded-for", "203.0.113.9, 10.0.0.2"), ("x-forwarded-proto", "https, http")],
     ("203.0.113.9", "10.0.0.2", PROXY), "https", ""),
    ("what a made-up entry says is not believed", PROXY,
     [("x-forwarded-for", "1.1.1.1, 203.0.113.9"), ("x-forwarded-proto", "https, http")],
     ("203.0.113.9", PROXY), "http", ""),
    ("another scheme is none", PROXY, [("x-forwarded-proto", "gopher")], (PROXY,), "", ""),
    ("what is no host is none", PROXY, [("x-forwarded-host", "a b")], (PROXY,), "", ""),
    ("the standard's header", PROXY, [("forwarded", 'for=1.1.1.1, for="203.0.113.9:80";proto=https;host="api.example"')],
     ("203.0.113.9", PROXY), "https", "api.example"),
    ("the standard's addresses", "2001:db8::1", [("Forwarded", 'For="[2001:db8:cafe::17]:4711"')],
     ("2001:db8:cafe::17", "2001:db8::1"), "", ""),
    ("an obfuscated node is nobody", PROXY, [("forwarded", "for=_hidden;proto=https")], (PROXY,), "https", ""),
    ("both headers, of one mind", PROXY, [("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "203.0.113.9")],
     ("203.0.113.9", PROXY), "", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("peer", "headers", "addresses", "scheme", "host"),
    [row[1:] for row in ROWS],
    ids=[row[0] for row in ROWS],
)
def test_callers(peer, headers, addresses, scheme, host):
    assert read(peer, *headers) == Caller(addresses, scheme, host)


def test_headers_that_name_different_clients_are_refused():
    with pytest.raises(RequestProblem, match="name different clients"):
        read(PROXY, ("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "203.0.113.9"))


@pytest.mark.parametrize(
    "value",
    ['for="1.1.1.1', "for", "for=a=b", "for=1.1.1.1 for=2.2.2.2", 'for=a"b"', "for=a;for=b", "@=1", "=1"],
)
def test_what_is_not_the_standards_is_refused(value):
    with pytest.raises(RequestProblem, match="is not what RFC 7239 describes"):
        read_forwarded(value)


def test_quoted_pairs_are_unescaped():
    assert read_forwarded(r'host="a\.b"')[0].host == "a.b"


def test_what_backends_may_believe():
    caller = read(PROXY, ("x-forwarded-for", "9.9.9.9, 2001:dead::1"), ("x-forwarded-proto", "https"))
    told = dict(
        caller.metadata(
            ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-real-ip"), "http", "api.example"
        )
    )
    assert told == {
        "forwarded": 'for="[2001:dead::1]";proto=https;host="api.example", for=10.0.0.1',
        "x-forwarded-for": "2001:dead::1, 10.0.0.1",
        "x-forwarded-proto": "https",
        "x-real-ip": "2001:dead::1",
    }


ADDRESS = st.ip_addresses(v=4).map(str)


@given(
    forged=st.lists(
        ADDRESS | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12), max_size=4
    ),
    client=st.ip_addresses(v=4, network="203.0.113.0/24").map(str),
    between=st.lists(st.ip_addresses(v=4, network="10.0.0.0/8").map(str), max_size=3),
)
def test_whatever_a_client_makes_up_it_stays_who_it_is(forged, client, between):
    value = ", ".join([*forged, client, *between])
    assert read(PROXY, ("x-forwarded-for", value)).client == client


def test_addresses_remembered_are_bounded():
    proxies = Proxies(("10.0.0.0/8",))
    for number in range(6000):
        proxies.trusts(f"192.0.{number // 250}.{number % 250}")
    assert len(proxies._known) <= 4096
