"""Which route answers a method and a path: precedence, backtracking, Allow."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.route.template import Kind, canonical, read
from gateway.route.trie import Match, Trie


def trie(*routes):
    """A trie whose routes are their own spelling: `GET /v1/x`."""
    return Trie([(route.split(" ")[0], read(route.split(" ")[1]), route) for route in routes])


FOUND = [
    # rule, routes, request, route, captures
    ("a literal path", ["GET /v1/x"], "GET /v1/x", 0, ()),
    ("the root", ["GET /"], "GET /", 0, ()),
    ("a capture is raw", ["GET /v1/{a}"], "GET /v1/b%2Fc", 0, ("b%2Fc",)),
    ("several segments", ["GET /{a=x/*/y/*}/{b}"], "GET /x/1/y/2/3", 0, ("x/1/y/2", "3")),
    ("** takes many", ["GET /v1/{a=f/**}"], "GET /v1/f/1/2", 0, ("f/1/2",)),
    ("** takes none", ["GET /v1/{a=f/**}"], "GET /v1/f", 0, ("f",)),
    ("** alone takes none", ["GET /v1/{a=**}"], "GET /v1", 0, ("",)),
    ("** keeps a trailing slash", ["GET /v1/{a=**}"], "GET /v1/f/", 0, ("f/",)),
    ("a variable of literals is captured", ["GET /v1/{a=users/me}"], "GET /v1/users/me", 0, ("users/me",)),
    ("segments after a **", ["GET /v1/{a=**}/x"], "GET /v1/1/2/x", 0, ("1/2",)),
    ("segments after an empty **", ["GET /v1/{a=f/**}/x"], "GET /v1/f/x", 0, ("f",)),
    ("a variable after a **", ["GET /{a}/{b=f/**}/x/{c}"], "GET /0/f/1/2/x/3", 0, ("0", "f/1/2", "3")),
    ("a variable that goes on after its **", ["GET /v1/{a=**/x/*}"], "GET /v1/1/x/2", 0, ("1/x/2",)),
    ("a variable of several segments after a **", ["GET /**/{a=x/*}/y"], "GET /1/x/2/y", 0, ("x/2",)),
    ("a verb after what follows a **", ["GET /{a=**}/x:go"], "GET /1/2/x:go", 0, ("1/2",)),
    (
        "more after a ** beats less",
        ["GET /{a=**}/{b}", "GET /{a=**}/{b}/{c}"],
        "GET /1/2/3",
        1,
        ("1", "2", "3"),
    ),
    ("something after a ** beats nothing", ["GET /{a=**}", "GET /{a=**}/{b}"], "GET /1/2", 1, ("1", "2")),
    ("a literal after a ** beats a *", ["GET /{a=**}/{b}", "GET /{a=**}/x"], "GET /1/2/x", 1, ("1/2",)),
    ("* beats what follows a **", ["GET /{a=**}/x", "GET /{a}/{b}"], "GET /1/x", 1, ("1", "x")),
    ("a dead end after a ** goes back", ["GET /**/x/y", "GET /{a=**}/y"], "GET /1/z/y", 1, ("1/z",)),
    ("a literal beats *", ["GET /v1/{a}", "GET /v1/me"], "GET /v1/me", 1, ()),
    ("* beats **", ["GET /v1/{a=**}", "GET /v1/{a}"], "GET /v1/me", 1, ("me",)),
    ("the leftmost difference decides", ["GET /{a}/y/z", "GET /x/{b}/{c}"], "GET /x/y/z", 1, ("y", "z")),
    ("a dead end goes back to *", ["GET /x/y/z", "GET /{a}/y/w"], "GET /x/y/w", 1, ("x",)),
    ("a dead end goes back to **", ["GET /x/y/z", "GET /{a=**}"], "GET /x/y/w", 1, ("x/y/w",)),
    ("a literal of another method hides nothing", ["POST /v1/me", "GET /v1/{a}"], "GET /v1/me", 1, ("me",)),
    ("a * of another method hides no **", ["POST /v1/{a}", "GET /v1/{b=**}"], "GET /v1/me", 1, ("me",)),
    ("the method beats the kind *", ["* /v1/x", "GET /v1/x"], "GET /v1/x", 1, ()),
    ("the kind * is any method", ["* /v1/{a}", "GET /v1/{a}"], "PURGE /v1/x", 0, ("x",)),
    ("a verb", ["POST /v1/{a}:cancel", "POST /v1/{a}"], "POST /v1/x:cancel", 0, ("x",)),
    ("a verb after **", ["POST /v1/{a=**}:cancel"], "POST /v1/x/y:cancel", 0, ("x/y",)),
    ("a verb after an empty **", ["POST /v1/{a=**}:cancel"], "POST /v1:cancel", 0, ("",)),
    ("the last colon starts the verb", ["POST /v1/{a}:cancel"], "POST /v1/x:y:cancel", 0, ("x:y",)),
    ("an unknown verb is text", ["POST /v1/{a}:cancel", "POST /v1/{a}"], "POST /v1/x:stop", 1, ("x:stop",)),
    (
        "a verb of another method is text",
        ["POST /v1/{a}:cancel", "GET /v1/{a}"],
        "GET /v1/x:cancel",
        1,
        ("x:cancel",),
    ),
    ("an encoded colon starts no verb", ["GET /v1/{a}:go", "GET /v1/{a}"], "GET /v1/x%3Ago", 1, ("x%3Ago",)),
    ("a verb with a literal path", ["POST /v1/x:go"], "POST /v1/x:go", 0, ()),
    ("a literal may come encoded", ["GET /v1/shelves"], "GET /v1/%73helves", 0, ()),
    ("a literal with a space", ["GET /v1/a%20b"], "GET /v1/a%20b", 0, ()),
    ("a literal with an encoded slash", ["GET /v1/a%2Fb"], "GET /v1/a%2fb", 0, ()),
    ("an encoded * is no wildcard", ["GET /v1/%2A", "GET /v1/{a}"], "GET /v1/x", 1, ("x",)),
    (
        "the verb is tried before a literal with a colon",
        ["GET /v1/a%3Ab", "GET /v1/{a}:b"],
        "GET /v1/a:b",
        1,
        ("a",),
    ),
]


@pytest.mark.parametrize(
    ("routes", "request_", "index", "captures"), [row[1:] for row in FOUND], ids=[row[0] for row in FOUND]
)
def test_the_route_found(routes, request_, index, captures):
    method, path = request_.split(" ")
    for order in (routes, routes[::-1]):
        assert trie(*order).find(method, path) == Match(routes[index], captures, ())
        assert trie(*order).find(method, path.encode()) == Match(routes[index], captures, ())


NOT_FOUND = [
    # rule, routes, request, allow
    ("nothing", ["GET /v1/x"], "GET /v1/y", ()),
    ("a shorter path", ["GET /v1/x"], "GET /v1", ()),
    ("a longer path", ["GET /v1/x"], "GET /v1/x/y", ()),
    ("a trailing slash is another path", ["GET /v1/x"], "GET /v1/x/", ()),
    ("* takes no empty segment", ["GET /v1/{a}"], "GET /v1/", ()),
    ("* takes no empty segment before a verb", ["GET /v1/{a}:go"], "GET /v1/:go", ()),
    ("an encoded slash separates nothing", ["GET /v1/a/b"], "GET /v1/a%2Fb", ()),
    ("case matters", ["GET /v1/x"], "GET /V1/x", ()),
    ("an asterisk-form target", ["GET /{a=**}"], "OPTIONS *", ()),
    ("a literal's other method", ["GET /v1/x"], "PUT /v1/x", ("GET",)),
    (
        "Allow is the union over matches",
        ["GET /v1/x", "PATCH /v1/{a}", "DELETE /{a=**}", "POST /v1/y"],
        "PUT /v1/x",
        ("DELETE", "GET", "PATCH"),
    ),
    ("Allow counts verbs and text", ["POST /v1/{a}:go", "GET /v1/{a}"], "PUT /v1/x:go", ("GET", "POST")),
    ("methods are case-sensitive", ["GET /v1/x"], "get /v1/x", ("GET",)),
]


@pytest.mark.parametrize(
    ("routes", "request_", "allow"), [row[1:] for row in NOT_FOUND], ids=[row[0] for row in NOT_FOUND]
)
def test_no_route(routes, request_, allow):
    method, path = request_.split(" ")
    assert trie(*routes).find(method, path) == Match(None, (), allow)


def test_raw_bytes_outside_ascii_are_captured_and_survive():
    found = trie("GET /v1/{a}").find("GET", b"/v1/\xff\xc3\xa9")
    assert found.captures == ("\udcffé",)


# The naive matcher: one regular expression per template would do, but a recursion says the rules better.


def fits(segments, keys):
    """Every way to lay the template over the path is the same way: yes or no."""
    if not segments:
        return not keys
    head = segments[0]
    if head.kind is Kind.REST:
        return any(fits(segments[1:], keys[taken:]) for taken in range(len(keys) + 1))
    if not keys:
        return False
    if head.kind is Kind.LITERAL and head.text != keys[0]:
        return False
    return (head.kind is Kind.LITERAL or bool(keys[0])) and fits(segments[1:], keys[1:])


def naive(routes, method, path):
    """Sort all candidates by precedence, take the first that the method allows."""
    rank = {Kind.LITERAL: 0, Kind.ONE: 1, Kind.REST: 2}
    candidates = []
    segments = path[1:].split("/") if path != "/" else []
    for kind, template, route in routes:
        raw = list(segments)
        if template.verb:
            head, colon, verb = raw[-1].rpartition(":") if raw else ("", "", "")
            if not colon or canonical(verb) != template.verb:
                continue
            raw[-1] = head
        if fits(template.segments, [canonical(key) for key in raw]):
            ranks = []
            for index, segment in enumerate(template.segments):
                ranks.append(rank[segment.kind])
                if segment.kind is Kind.REST:
                    # Of two that have come to their `**`, the one with more after it.
                    ranks.append(index - len(template.segments))
            # The end of a template is better than `**` that takes nothing.
            candidates.append(((not template.verb, [*ranks, -1], kind == "*"), kind, route, raw, template))
    for _, kind, route, raw, template in sorted(candidates, key=lambda candidate: candidate[0]):
        if kind in {method, "*"}:
            # What each segment of the template stands for; a `**` for as many as the others leave.
            spare = len(raw) - len(template.segments) + 1
            pieces, at = [], 0
            for segment in template.segments:
                taken = spare if segment.kind is Kind.REST else 1
                pieces.append(raw[at : at + taken])
                at += taken
            captures = tuple(
                "/".join(one for piece in pieces[v.start : v.end] for one in piece)
                for v in template.variables
            )
            return Match(route, captures, ())
    return Match(None, (), tuple(sorted({candidate[1] for candidate in candidates})))


WORDS = st.sampled_from(["a", "b", "c%2Fd", "%61"])
PLAIN = st.lists(st.one_of(WORDS, st.just("*")), min_size=1, max_size=4)


@st.composite
def templates(draw):
    parts = draw(PLAIN)
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), "**")
    for name in draw(st.sampled_from(["", "f", "fg"])):
        start = draw(st.integers(0, len(parts) - 1))
        end = draw(st.integers(start + 1, len(parts)))
        if not any("{" in part for part in parts[start:end]):
            parts[start:end] = ["{" + name + "=" + "/".join(parts[start:end]) + "}"]
    return "/" + "/".join(parts) + draw(st.sampled_from(["", "", ":a", ":v"]))


PATHS = st.lists(st.sampled_from(["a", "b", "c%2fd", "%62", "", "a:a", "b:v", "x"]), max_size=5).map(
    lambda parts: "/" + "/".join(parts)
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["GET", "POST", "*"]), templates()), max_size=8),
    PATHS,
    st.randoms(use_true_random=False),
)
@example([("GET", "/**"), ("GET", "/*")], "/", None)
def test_agrees_with_a_naive_matcher_whatever_the_order(given_routes, path, random):
    unique = {}
    for kind, source in given_routes:
        template = read(source)
        unique.setdefault((kind, template.shape), (kind, template, f"{kind} {source}"))
    routes = list(unique.values())
    shuffled = list(routes)
    if random:
        random.shuffle(shuffled)
    for method in ("GET", "POST", "PUT"):
        assert Trie(shuffled).find(method, path) == naive(routes, method, path)


def test_every_order_of_a_tricky_set_answers_alike():
    routes = ["GET /a/*", "GET /{f=a/**}", "POST /a/b", "GET /*/b", "* /a/b:v"]
    answers = {trie(*order).find("GET", "/a/b") for order in itertools.permutations(routes)}
    assert answers == {Match("GET /a/*", (), ())}
