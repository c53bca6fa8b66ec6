"""Routes: the first rule that matches decides, by weight, and the same for requests of one value."""

from __future__ import annotations

import collections

import pytest

from mesh.errors import ConfigError
from mesh.mechanism.header_match import MatchKind
from mesh.policy.header_match import HeaderMatchPolicy
from mesh.policy.policy import Policy
from mesh.policy.route import RoutePolicy, RulePolicy
from mesh.stage import route
from mesh.stage.route import Routes

from .call import Clock, scope

BETA = HeaderMatchPolicy(name="x-group", kind=MatchKind.EXACT, value="beta")
CANARY = RoutePolicy(
    rules=(
        RulePolicy(headers=(BETA,), subsets=("v2",), weights=(1,)),
        RulePolicy(subsets=("", "v2"), weights=(9, 1), hash_header="x-user"),
    )
)


def made(rules: RoutePolicy = CANARY, **change):
    return scope(Policy(route=rules), Clock())._replace(**{"subsets": ("v1", "v2"), **change})


def test_the_first_rule_that_matches_decides():
    assert "v2" == Routes(CANARY).choose((("x-group", "beta"),), lambda: 0.0)
    assert "" == Routes(CANARY).choose((("x-group", "alpha"),), lambda: 0.0)


@pytest.mark.parametrize(("u", "expected"), [(0.0, ""), (0.89, ""), (0.9, "v2"), (0.99, "v2")])
def test_weights_decide_among_destinations(u, expected):
    assert expected == Routes(CANARY).choose((), lambda: u)


def test_requests_of_one_value_go_one_way_whatever_is_drawn():
    routes = Routes(CANARY)
    users = collections.Counter(routes.choose((("x-user", f"user-{n}"),), lambda: 0.0) for n in range(1000))

    for n in range(100):
        ways = {routes.choose((("x-user", f"user-{n}"),), lambda u=u: u) for u in (0.0, 0.5, 0.95)}
        assert 1 == len(ways)
    assert 60 < users["v2"] < 140


def test_what_no_rule_matches_goes_to_the_service():
    only = RoutePolicy(rules=(RulePolicy(headers=(BETA,), subsets=("v2",), weights=(1,)),))

    assert "" == Routes(only).choose((), lambda: 0.0)


def test_a_subset_that_is_not_there_is_refused_with_a_suggestion():
    typo = RoutePolicy(rules=(RulePolicy(subsets=("v1", "canry"), weights=(1, 1)),))

    with pytest.raises(ConfigError) as caught:
        route.build(made(typo, subsets=("v1", "canary")))

    assert [
        '/shop.v1.Shop/Get: route.rules[0].to[1].subset: "canry" is not a subset of shop; did you mean "canary"?'
    ] == [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"policy": Policy()}, "not configured"),
        (
            {"subsets": None},
            "only calls through a channel of the mesh, to a service that has subsets, are routed",
        ),
    ],
)
def test_why_calls_are_not_routed(change, reason):
    changed = made(**change)

    assert route.build(changed) is None
    assert reason == route.absent(changed)


def test_it_says_where_calls_go():
    assert "x-group is beta: shop/v2; 90% shop, 10% shop/v2 by x-user" == route.describe(made())
    assert "<Routes 2 rules>" == repr(route.build(made()))


def test_a_subset_was_routed_to():
    """Its own chain has the section, so that a policy may require it, and sends calls nowhere else."""
    inside = made(subsets=(), target="shop/v2")

    assert route.build(inside) is not None
    assert "has led here" == route.describe(inside)
