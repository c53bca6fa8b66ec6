"""All of Google's own HTTP rules: each is read, and a path made for it finds it again."""

from __future__ import annotations

import re

import pytest

from gateway.route import template as templates
from gateway.route.template import Kind
from gateway.route.trie import Trie
from tests.gateway.route import googleapis

# Two methods of one host, with the same method and shape. These APIs are not served as REST, or by another name.
CONFLICTS = {"bigquerystorage.googleapis.com": 11, "discoveryengine.googleapis.com": 45}
# A document's path and the list of a collection's are told apart by Firestore alone, which counts segments: the latter's
# template has a segment after its `**`, and is the more specific.
SHADOWED = {
    (
        f"google.firestore.{version}.Firestore.GetDocument",
        f"google.firestore.{version}.Firestore.ListDocuments",
    )
    for version in ("v1", "v1beta1")
}


@pytest.fixture(scope="module")
def rules():
    return [(rule, templates.read(rule.template)) for rule in googleapis.read()]


def unique(rules):
    """The rules without those whose requests belong to an earlier one."""
    kept = {}
    for rule, template in rules:
        kept.setdefault((rule.http_method, template.shape), (rule, template))
    return list(kept.values())


def spelled(template):
    """The template's source, made from its parts."""
    texts = [str(segment) for segment in template.segments]
    for variable in reversed(template.variables):
        inner = "/".join(texts[variable.start : variable.end])
        texts[variable.start : variable.end] = [f"{{{'.'.join(variable.path)}={inner}}}".replace("=*}", "}")]
    return "/" + "/".join(texts) + (f":{template.verb}" if template.verb else "")


def concrete(template):
    """A path the template matches, and what its variables capture there."""
    pieces = []
    for index, segment in enumerate(template.segments):
        wild = [f"one%2F{index}"] if segment.kind is Kind.ONE else [f"many{index}", "more%2f"]
        pieces.append([segment.text] if segment.kind is Kind.LITERAL else wild)
    captures = tuple(
        "/".join(word for piece in pieces[variable.start : variable.end] for word in piece)
        for variable in template.variables
    )
    path = "/" + "/".join(word for piece in pieces for word in piece)
    return path + (f":{template.verb}" if template.verb else ""), captures


def rank(template):
    """What decides which of two templates that match a path is better; the less the better."""
    order = {Kind.LITERAL: 0, Kind.ONE: 1, Kind.REST: 2}
    ranks = []
    for index, segment in enumerate(template.segments):
        ranks.append(order[segment.kind])
        if segment.kind is Kind.REST:
            ranks.append(index - len(template.segments))
    return not template.verb, ranks


def test_every_template_is_read_and_spelled_again(rules):
    assert len(rules) > 14_000
    assert len({rule.method for rule, _ in rules}) > 12_000
    for rule, template in rules:
        # "If a variable matches a single path segment, its template may be omitted" - google/api/http.proto
        assert spelled(template) == rule.template.replace("=*}", "}")
        assert [variable.path for variable in template.variables] == [
            tuple(name.split(".")) for name in re.findall(r"\{([a-z0-9_.]+)", rule.template)
        ]


def test_google_itself_puts_segments_after_a_double_wildcard(rules):
    methods = {
        rule.method for rule, template in rules if Kind.REST in [s.kind for s in template.segments[:-1]]
    }
    assert "google.firestore.v1.Firestore.ListDocuments" in methods
    assert len(methods) == 13


def test_a_host_has_no_conflicts_but_for_two(rules):
    read = dict(rules)
    counts = {
        host: len(group) - len(unique([(rule, read[rule]) for rule in group]))
        for host, group in googleapis.by_host(list(read)).items()
    }
    assert {host: count for host, count in counts.items() if count} == CONFLICTS


def check(rules):
    """Each route is found by a path of its own, whose captures are right; answer with the exceptions."""
    kept = unique(rules)
    trie = Trie((rule.http_method, template, (rule, template)) for rule, template in kept)
    others = set()
    for rule, template in kept:
        path, captures = concrete(template)
        found = trie.find(rule.http_method, path)
        if found.route[0] is rule:
            assert found.captures == captures
        else:
            assert rank(found.route[1]) < rank(template)
            others.add((rule.method, found.route[0].method))
        unknown = trie.find("PURGE", path)
        assert unknown.route is None
        assert rule.http_method in unknown.allow
        assert list(unknown.allow) == sorted(set(unknown.allow))
        # A trailing slash is another path.
        longer = trie.find(rule.http_method, f"{path}/").route
        assert longer is None or "**" in longer[0].template
    return others


def test_each_api_finds_every_route(rules):
    read = dict(rules)
    others = set()
    for group in googleapis.by_host(list(read)).values():
        others |= check([(rule, read[rule]) for rule in group])
    assert others == SHADOWED


def test_all_apis_at_once_find_every_route(rules):
    # One gateway is one host: as many pairs of methods of different APIs would be refused.
    assert len(rules) - len(unique(rules)) == 448
    assert check(rules) == SHADOWED


def test_the_order_of_routes_decides_nothing(rules):
    kept = unique(rules)
    forwards, backwards = (
        Trie((rule.http_method, template, rule) for rule, template in order) for order in (kept, kept[::-1])
    )
    for _, template in kept:
        path, _ = concrete(template)
        for method in ("GET", "POST", "PURGE"):
            assert forwards.find(method, path) == backwards.find(method, path)
