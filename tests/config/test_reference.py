"""Subsets of services, and what policies refer to by name: what is refused, and at which path."""

from __future__ import annotations

import pytest

from mesh.config import environment

SHOP = 'name: shop, serves: [shop.v1.Shop], endpoints: ["127.0.0.1:1"]'


def load(folder, text: str):
    file = folder / "mesh.yaml"
    file.write_text(text)
    return environment.load(file)


def problems(folder, text: str) -> list[str]:
    return [f"{one.path}: {one.message}" for one in load(folder, text)[1]]


def test_subsets_are_read(tmp_path):
    known, _ = load(
        tmp_path,
        f'services: [{{{SHOP}, subsets: [{{name: v1, endpoints: ["127.0.0.1:2"]}}, {{name: v2, dns: "v2.shop:50051"}}]}}]',
    )

    one, two = known.service("shop").subsets
    assert ("v1", "127.0.0.1:2") == (one.name, str(one.endpoints[0]))
    assert ("v2", "v2.shop:50051") == (two.name, str(two.dns))


@pytest.mark.parametrize(
    ("subset", "expected"),
    [
        ('{endpoints: ["127.0.0.1:2"]}', "[0].name: a subset needs a name"),
        (
            '{name: "v/2", endpoints: ["127.0.0.1:2"]}',
            '[0].name: "v/2" is not the name of a subset: letters, digits, - and _',
        ),
        ("{name: v1}", "[0]: a subset has either endpoints or dns"),
        ('{name: v1, dns: "a:1", endpoints: ["127.0.0.1:2"]}', "[0]: a subset has either endpoints or dns"),
        (
            '{name: v1, endpoints: ["a:2"]}',
            '[0].endpoints[0]: "a:2" is not an IP address; for a name use `dns: a:2`',
        ),
        ("{name: v1, dns: nowhere}", '[0].dns: "nowhere" is not HOST:PORT'),
        (
            '{name: v1, dns: "a:1"}, {name: v1, dns: "b:1"}',
            '[1].name: "v1" is the name of another subset already',
        ),
    ],
)
def test_what_a_subset_may_not_be(tmp_path, subset, expected):
    assert [f"services[0].subsets{expected}"] == problems(
        tmp_path, f"services: [{{{SHOP}, subsets: [{subset}]}}]"
    )


def test_what_mesh_up_starts_has_no_subsets(tmp_path):
    found = problems(
        tmp_path, 'services: [{name: shop, command: [python], subsets: [{name: v1, dns: "a:1"}]}]'
    )

    assert [
        "services[0].subsets: only for a service that `mesh up` does not start: the instances it starts are all the same"
    ] == found


SUBSETS = 'subsets: [{name: canary, dns: "a:1"}]'


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        (
            "services: [{service: shop.v1.Shop, policy: {route: {rules: [{to: [{}, {subset: canry}]}]}}}]",
            'services[0].policy.route.rules[0].to[1].subset: "canry" is not a subset of shop; did you mean "canary"?',
        ),
        (
            "services: [{service: shop.v1.Shop, methods: [{method: A, policy: {route: {rules: [{to: [{subset: b}]}]}}}]}]",
            'services[0].methods[0].policy.route.rules[0].to[0].subset: "b" is not a subset of shop',
        ),
        (
            "defaults: {route: {rules: [{to: [{subset: canary}]}]}}",
            'defaults.route.rules[0].to[0].subset: "canary" is not a subset of other',
        ),
        (
            "defaults: {mirror: {target: shp}}",
            'defaults.mirror.target: "shp" is not a service of this environment; did you mean "shop"?',
        ),
    ],
)
def test_names_that_nothing_has(tmp_path, policies, expected):
    text = f"""
services:
- {{{SHOP}, {SUBSETS}}}
- {{name: other, serves: [other.v1.Other], dns: "a:1"}}
policies: {{{policies}}}
"""

    assert [f"policies.{expected}"] == problems(tmp_path, text)


@pytest.mark.parametrize(
    "policies",
    [
        "services: [{service: shop.v1.Shop, policy: {route: {rules: [{to: [{subset: canary}, {}]}]}}}]",
        "services: [{service: far.v1.Away, policy: {route: {rules: [{to: [{subset: unknown}]}]}}}]",
        "defaults: {mirror: {target: shop}}",
        'defaults: {mirror: {target: "10.0.0.1:50051"}}',
    ],
)
def test_names_that_something_has_or_that_are_not_known_here(tmp_path, policies):
    assert [] == problems(tmp_path, f"services: [{{{SHOP}, {SUBSETS}}}]\npolicies: {{{policies}}}\n")
