"""Which origins are allowed, and what answers say to them."""

from __future__ import annotations

import pytest

from gateway.edge.cors import CrossOrigin, compile_cors, compile_origins, is_preflight, origin_of
from mesh.config.edge import Cors

LISTED = ("https://shop.example", "https://*.example.com", "http://*.local:8080", "http://[::1]:3000")

ORIGINS = [
    # rule, origin, allowed
    ("exact", "https://shop.example", True),
    ("another scheme is another origin", "http://shop.example", False),
    ("another port is another origin", "https://shop.example:444", False),
    ("a host below one that is listed itself", "https://a.shop.example", False),
    ("below a wildcard", "https://a.example.com", True),
    ("far below a wildcard", "https://a.b.example.com", True),
    ("the wildcard's own host is not below it", "https://example.com", False),
    ("a name that only ends alike", "https://evilexample.com", False),
    ("no label before the dot", "https://.example.com", False),
    ("a path is no host", "https://evil.org/.example.com", False),
    ("user information is no host", "https://evil.org@a.example.com", False),
    ("a port in the middle is no host", "https://evil.org:1.example.com", False),
    ("a wildcard's port counts", "http://a.local:8080", True),
    ("a wildcard's port is required", "http://a.local", False),
    ("an address", "http://[::1]:3000", True),
    ("an opaque origin", "null", False),
    ("nothing", "", False),
]


@pytest.mark.parametrize(("origin", "allowed"), [row[1:] for row in ORIGINS], ids=[row[0] for row in ORIGINS])
def test_origins(origin, allowed):
    assert compile_origins(LISTED)(origin) is allowed


def test_everybody_is_everybody():
    assert all(compile_origins(("*",))(origin) for origin in ("https://a", "null", ""))


def test_nobody_costs_nothing():
    assert compile_cors(Cors(), ()) is None


def rules(**settings):
    return CrossOrigin(Cors(allow_origins=LISTED, **settings), ("x-shelf", "x-demo-*"))


def test_what_depends_on_the_origin_says_so_to_everybody():
    for origin in (None, b"https://evil.org", b"null"):
        assert rules().standing(origin) == ((b"vary", b"origin"),)


def test_an_allowed_origin_is_named_and_may_read_what_is_listed():
    headers = dict(rules().standing(b"https://shop.example"))
    exposed = headers.pop(b"access-control-expose-headers").split(b", ")
    assert headers == {b"access-control-allow-origin": b"https://shop.example", b"vary": b"origin"}
    assert {b"x-request-id", b"retry-after", b"etag", b"grpc-status", b"grpc-message", b"x-shelf"} <= set(
        exposed
    )
    # Fetch has no prefixes: "x-demo-*" would be the name of one header.
    assert not any(name.endswith(b"*") or name.startswith(b"x-demo") for name in exposed)
    assert rules(expose_headers=("x-one",)).standing(b"https://shop.example")[1][1] == b"x-one"


def test_credentials_are_allowed_only_where_the_operator_does():
    name = b"access-control-allow-credentials"
    assert dict(rules(allow_credentials=True).standing(b"https://shop.example"))[name] == b"true"
    assert name not in dict(rules(allow_credentials=True).standing(b"https://evil.org"))
    assert name not in dict(rules().standing(b"https://shop.example"))


def test_everybody_is_told_the_same_which_varies_with_nothing():
    everybody = CrossOrigin(Cors(allow_origins=("*",)), ())
    assert everybody.standing(None) == everybody.standing(b"https://shop.example")
    assert everybody.standing(None)[0] == (b"access-control-allow-origin", b"*")
    assert b"vary" not in dict(everybody.standing(None))


def test_a_preflight_request_is_answered_for_allowed_origins_only():
    said = dict(rules(max_age=5.0).preflight(b"https://shop.example", ["GET", "POST"]))
    assert said[b"access-control-allow-methods"] == b"GET, POST"
    assert said[b"access-control-max-age"] == b"5"
    sent = said[b"access-control-allow-headers"].split(b", ")
    # What the clients of grpc-web, @connectrpc/connect-web and fetch send, but for what is safelisted.
    assert {
        b"x-grpc-web",
        b"x-user-agent",
        b"grpc-timeout",
        b"connect-protocol-version",
        b"connect-timeout-ms",
    } <= set(sent)
    assert {b"content-type", b"authorization", b"last-event-id", b"if-none-match", b"traceparent"} <= set(
        sent
    )
    assert rules().preflight(b"https://evil.org", ["GET"]) == ()


def test_origins_remembered_are_bounded():
    known = rules()
    for number in range(3000):
        known.standing(b"https://a%d.example.com" % number)
    assert len(known._known) <= 1024


def test_several_origins_are_none():
    assert origin_of([(b"origin", b"a"), (b"origin", b"b")]) is None
    assert origin_of([(b"origin", b"a")]) == b"a"


def test_what_a_preflight_request_is():
    asked = (b"access-control-request-method", b"PUT")
    assert is_preflight([(b"origin", b"a"), asked])
    assert not is_preflight([asked])
    assert not is_preflight([(b"origin", b"a")])
