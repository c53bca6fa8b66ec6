"""Requests that break their rules are INVALID_ARGUMENT, with every violation; what has no rules costs nothing."""

from __future__ import annotations

import importlib.util

import pytest
from google.rpc import error_details_pb2, status_pb2

from mesh.call import Arity, Call, Direction, Side
from mesh.errors import ConfigError
from mesh.policy.policy import Policy
from mesh.policy.validation import ValidationPolicy
from mesh.stage import validation
from mesh.stage.violation import MOST_BYTES
from tests import ruled
from tests.stage.call import Clock, scope

POLICY = Policy(validation=ValidationPolicy())


def place(method: str = ruled.PLACE, policy: Policy = POLICY, pool=None):
    made = scope(policy, Clock(), side=Side.SERVER, method=method)
    return made._replace(pool=ruled.pool() if pool is None else pool)


def check(message, direction=Direction.RECEIVED):
    stage = validation.build(place())
    return stage.message(Call(ruled.PLACE, Arity.UNARY_UNARY), None, message, direction, 0.0)


def violations(outcome) -> list[error_details_pb2.BadRequest.FieldViolation]:
    ((key, value),) = outcome.trailing
    assert "grpc-status-details-bin" == key
    status = status_pb2.Status.FromString(value)
    assert (outcome.code, outcome.details) == (status.code, status.message)
    bad = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(bad)
    return list(bad.field_violations)


def test_a_good_request_passes():
    order = ruled.message("Order")(buyer="me")

    assert check(order) is None


def test_each_broken_rule_is_told_with_its_field():
    order = ruled.message("Order")(buyer="x")
    order.items.add(sku="ok", price=1)
    order.items.add(sku="much too long", price=1)
    order.gifts["for you"].sku = "free"
    order.numbered[7].sku = "free"
    order.replaces.buyer = "y"

    refused = check(order)

    assert 3 == refused.code
    assert "validation" == refused.rejected_by
    assert "buyer: must be at least 2 characters (and 4 more)" == refused.details
    assert {
        "buyer": "STRING_MIN_LEN",
        "items[1].sku": "STRING_MAX_LEN",
        'gifts["for you"]': "ITEM_CHEAP",
        "numbered[7]": "ITEM_CHEAP",
        "replaces.buyer": "STRING_MIN_LEN",
    } == {one.field: one.reason for one in violations(refused)}
    assert "a free item is no item" in {one.description for one in violations(refused)}


def test_many_violations_do_not_burst_the_trailers():
    order = ruled.message("Order")(buyer="me")
    for _ in range(1000):
        order.items.add(sku="much too long", price=1)

    refused = check(order)

    assert refused.details.endswith("(and 999 more)")
    assert 10 < len(violations(refused)) < 1000
    assert len(refused.trailing[0][1]) < MOST_BYTES * 1.5


@pytest.mark.parametrize(
    ("message", "direction"),
    [(b"bytes of a generic handler", Direction.RECEIVED), (ruled.message("Order")(), Direction.SENT)],
    ids=["bytes", "a response"],
)
def test_only_request_messages_are_checked(message, direction):
    assert check(message, direction) is None


@pytest.mark.parametrize(
    ("method", "policy", "why"),
    [(ruled.PLACE, Policy(), "not configured"), (ruled.COUNT, POLICY, "the request has no rules")],
    ids=["no policy", "no rules"],
)
def test_where_there_is_nothing_to_check_there_is_no_stage(method, policy, why):
    assert validation.build(place(method, policy)) is None
    assert why == validation.absent(place(method, policy))


@pytest.mark.parametrize(
    ("name", "ruling"), [("Order", True), ("Item", True), ("Choice", True), ("Receipt", False)]
)
def test_rules_are_found_wherever_they_are(name, ruling):
    assert ruling is validation._has_rules(ruled.message(name).DESCRIPTOR, set())


def test_a_method_that_no_descriptors_know_is_checked_message_by_message():
    where = place("/unknown.Service/Method")
    stage = validation.build(where)

    refused = stage.message(
        Call(where.method, Arity.UNARY_UNARY), None, ruled.message("Order")(), Direction.RECEIVED, 0.0
    )

    assert 3 == refused.code
    assert (
        "requests that are protobuf messages by buf.validate rules; bytes are not checked"
        == validation.describe(where)
    )
    assert validation.describe(place()).startswith("ruled.v1.Order by buf.validate rules")


def test_rules_that_do_not_compile_are_refused():
    with pytest.raises(ConfigError) as caught:
        validation.build(place(ruled.BROKEN))

    assert str(caught.value).startswith(f"{ruled.BROKEN}: validation")


def test_without_the_package_the_policy_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(ConfigError) as caught:
        validation.build(place())

    assert (
        f"{ruled.PLACE}: validation: needs protovalidate: pip install 'grpc-mesh[validation]'"
        == str(caught.value).strip()
    )
    assert validation.build(place(ruled.COUNT)) is None


def test_methods_share_one_validator():
    where = place()
    validation.build(where)
    validation.build(where._replace(method=ruled.CHAT))

    assert 1 == where.state.size
