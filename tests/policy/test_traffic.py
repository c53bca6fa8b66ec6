"""Faults, copies, routes, fallbacks and ring hashes: what their readers refuse, and at which path."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from mesh.mechanism.header_match import MatchKind
from mesh.policy.fallback import FallbackPolicy
from mesh.policy.header_match import HeaderMatchPolicy
from mesh.policy.table import load

from .test_table import policies, table


def problems(text: str, pool=None) -> list[str]:
    return [str(problem) for problem in load(policies(text), pool=pool)[1]]


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (
            "fault: {}",
            "fault: there is no fault to inject; write delay, abort or by_request, or say `enabled: false`",
        ),
        ("fault: {delay: {}}", "fault.delay.duration: a delay needs its duration"),
        (
            "fault: {delay: {duration: 7200s}}",
            'fault.delay.duration: "7200s" is out of range, must be 0.001s to 3600s',
        ),
        (
            "fault: {abort: {}}",
            "fault.abort.code: an abort needs the code of an error, such as STATUS_CODE_UNAVAILABLE",
        ),
        (
            "fault: {by_request: true, abort: {code: STATUS_CODE_INTERNAL, percent: 101}}",
            'fault.abort.percent: "101" is out of range, must be 0 to 100',
        ),
        (
            "fault: {by_request: true, headers: [{exact: a}]}",
            "fault.headers[0].name: the name of the metadata is needed",
        ),
        (
            "fault: {by_request: true, headers: [{name: X-User, exact: a}]}",
            'fault.headers[0].name: "X-User" is not a name of metadata: lower case letters, digits, ".", "-" and "_"',
        ),
        (
            "fault: {by_request: true, headers: [{name: x-user}]}",
            "fault.headers[0]: nothing is asked of the value; write one of exact, prefix, regex and present",
        ),
        (
            "fault: {by_request: true, headers: [{name: a, regex: '('}]}",
            'fault.headers[0].regex: "(" is not a regular expression: missing ), unterminated subpattern at position 0',
        ),
        (
            "fault: {by_request: true, headers: [{name: a-bin, prefix: b}]}",
            'fault.headers[0].prefix: "a-bin" has bytes as its value; only `present` can be asked of it',
        ),
        ("mirror: {}", "mirror.target: copies need a target: the name of a service, or HOST:PORT"),
        (
            "mirror: {target: a, max_in_flight: 0}",
            'mirror.max_in_flight: "0" is out of range, must be 1 to 100000',
        ),
        ("route: {}", "route.rules: there is nothing to decide; write a rule, or say `enabled: false`"),
        (
            "route: {rules: [{}]}",
            "route.rules[0].to: a rule needs somewhere to go; write `to: [{}]` for the service itself",
        ),
        (
            "route: {rules: [{to: [{subset: a}, {subset: a}]}]}",
            'route.rules[0].to[1].subset: "a" is given twice; add the weights up',
        ),
        (
            "route: {rules: [{to: [{subset: a, weight: 0}]}]}",
            "route.rules[0].to: all weights are 0, so no request could go anywhere",
        ),
        (
            "route: {rules: [{to: [{}], hash_header: ''}]}",
            "route.rules[0].hash_header: the name of the metadata is needed",
        ),
        (
            "route: {rules: [{to: [{}]}, {to: [{subset: a}]}]}",
            "route.rules[1]: no request comes this far: rules[0] matches every one",
        ),
        (
            "fallback: {}",
            "fallback: there is nothing to fall back on; write response or method, or say `enabled: false`",
        ),
        (
            "fallback: {method: a.B/C}",
            'fallback.method: "a.B/C" is not the name of a method without its service',
        ),
        (
            "fallback: {method: C, codes: [STATUS_CODE_CANCELLED]}",
            "fallback.codes[0]: CANCELLED is never replaced: the caller has gone",
        ),
        (
            "fallback: {method: C, codes: [STATUS_CODE_UNSPECIFIED]}",
            "fallback.codes[0]: OK is never replaced: it is not a failure",
        ),
        ("fallback: {method: C, codes: [99]}", 'fallback.codes[0]: "99" is not a gRPC status code'),
        (
            "connection: {load_balancing: LOAD_BALANCING_RING_HASH}",
            "connection.hash_header: the name of the metadata is needed",
        ),
        (
            "connection: {load_balancing: LOAD_BALANCING_RING_HASH, hash_header: u-bin}",
            'connection.hash_header: "u-bin" has bytes as its value, which gRPC does not hash',
        ),
        (
            "connection: {hash_header: x-user}",
            'connection.hash_header: "x-user" is looked at with LOAD_BALANCING_RING_HASH only',
        ),
    ],
)
def test_what_is_refused(section, expected):
    assert [f"policies.defaults.{expected}"] == problems(f"defaults: {{{section}}}")


@pytest.mark.parametrize("section", ["fault", "mirror", "route", "fallback"])
def test_a_section_that_is_off_needs_nothing_else(section):
    made = table(f"defaults: {{{section}: {{enabled: false}}}}").policy("/a.B/C")

    assert getattr(made, section) is None


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("exact: a", ("x", MatchKind.EXACT, "a")),
        ("prefix: a", ("x", MatchKind.PREFIX, "a")),
        ("regex: a+", ("x", MatchKind.REGEX, "a+")),
        ("present: true", ("x", MatchKind.PRESENT, "")),
        ("present: false", ("x", MatchKind.ABSENT, "")),
    ],
)
def test_each_way_to_look_at_a_header_is_read(match, expected):
    made = table(f"defaults: {{fault: {{by_request: true, headers: [{{name: x, {match}}}]}}}}").policy(
        "/a.B/C"
    )

    name, kind, value = expected
    assert (HeaderMatchPolicy(name=name, kind=kind, value=value),) == made.fault.headers


def test_each_field_of_a_rule_is_read():
    made = table(
        """
        defaults:
          route:
            rules:
              - {headers: [{name: x, exact: a}], to: [{subset: v2, weight: 3}, {}], hash_header: x-user}
        """
    ).policy("/a.B/C")

    (rule,) = made.route.rules
    assert ("x is a",) == tuple(map(str, rule.headers))
    assert (("v2", ""), (3, 1), "x-user") == (rule.subsets, rule.weights, rule.hash_header)


def test_a_methods_fallback_takes_the_place_of_its_services():
    made = table(
        """
        services:
        - service: a.B
          policy: {fallback: {response: {name: none}}}
          methods: [{method: C, policy: {fallback: {method: D}}}]
        """
    )

    assert FallbackPolicy(method="D") == made.policy("/a.B/C").fallback
    assert FallbackPolicy(response='{"name": "none"}') == made.policy("/a.B/D").fallback


def shop() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="shop.proto", package="shop.v1", syntax="proto3")
    product = file.message_type.add(name="Product")
    product.field.add(name="name", number=1, type="TYPE_STRING", label="LABEL_OPTIONAL")
    file.message_type.add(name="Other")
    service = file.service.add(name="Shop")
    for name, kind, streams in (
        ("Get", "Product", False),
        ("GetCached", "Product", False),
        ("Count", "Other", False),
        ("Watch", "Product", True),
    ):
        service.method.add(
            name=name, input_type=".shop.v1.Other", output_type=f".shop.v1.{kind}", server_streaming=streams
        )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def of_get(fallback: str) -> list[str]:
    return problems(
        f"services: [{{service: shop.v1.Shop, methods: [{{method: Get, policy: {{fallback: {fallback}}}}}]}}]",
        shop(),
    )


PATH = "policies.services[0].methods[0].policy.fallback"


@pytest.mark.parametrize(
    ("fallback", "expected"),
    [
        (
            "{method: GetCache}",
            'method: /shop.v1.Shop/Get: "GetCache" is not a method of shop.v1.Shop; did you mean "GetCached"?',
        ),
        (
            "{method: Get}",
            'method: /shop.v1.Shop/Get: "Get" is the method itself; retries are what `retry` is for',
        ),
        (
            "{method: Count}",
            'method: /shop.v1.Shop/Get: "Count" takes or answers with other messages than Get, or with streams of them',
        ),
        (
            "{method: Watch}",
            'method: /shop.v1.Shop/Get: "Watch" takes or answers with other messages than Get, or with streams of them',
        ),
        (
            "{response: {nme: x}}",
            (
                "response: /shop.v1.Shop/Get: is not a shop.v1.Product: "
                'Message type "shop.v1.Product" has no field named "nme" at "Product".'
            ),
        ),
    ],
)
def test_a_fallback_fits_its_method(fallback, expected):
    assert [f"{PATH}.{expected}"] == of_get(fallback)


@pytest.mark.parametrize("fallback", ["{method: GetCached}", "{response: {name: x}}", "{enabled: false}"])
def test_a_fallback_that_fits(fallback):
    assert [] == of_get(fallback)


def test_a_services_fallback_fits_all_its_methods_that_have_none_of_their_own():
    text = """
        services:
        - service: shop.v1.Shop
          policy: {fallback: {response: {name: none}}}
          methods: [%s]
        """

    assert [
        (
            "policies.services[0].policy.fallback.response: /shop.v1.Shop/Count: is not a shop.v1.Other: "
            'Message type "shop.v1.Other" has no field named "name" at "Other".'
        )
    ] == problems(text % "", shop())
    assert [] == problems(text % "{method: Count, policy: {fallback: {enabled: false}}}", shop())


def test_of_a_service_that_is_not_described_nothing_is_said_but_that():
    assert ['policies.services[0].service: "shop.v1.Shp" is not a service of the descriptors'] == problems(
        "services: [{service: shop.v1.Shp, policy: {fallback: {method: A}}}]", shop()
    )


def test_without_descriptors_a_fallback_is_taken_as_it_is():
    assert [] == problems("services: [{service: a.B, policy: {fallback: {method: A}}}]")


def test_what_a_layer_lacks_the_layer_below_may_have():
    made = table(
        """
        services:
        - service: a.B
          policy: {mirror: {target: next}, fallback: {method: D}}
          methods: [{method: C, policy: {mirror: {percent: 5}, fallback: {codes: [STATUS_CODE_INTERNAL]}}}]
        """
    ).policy("/a.B/C")

    assert ("next", 0.05) == (made.mirror.target, made.mirror.share)
    assert FallbackPolicy(method="D", codes=frozenset({13})) == made.fallback


def test_rules_that_all_ask_for_something_are_reached():
    rules = "{headers: [{name: a, present: true}], to: [{subset: x}]}, {headers: [{name: b, present: true}], to: [{}]}"

    assert [] == problems(f"defaults: {{route: {{rules: [{rules}]}}}}")


def test_a_fallback_without_an_answer_is_reported_once():
    assert [
        f"{PATH}: there is nothing to fall back on; write response or method, or say `enabled: false`"
    ] == of_get("{}")
