"""The ORDER table: its rules hold, each broken rule is reported, and every slot belongs to a section of the policy."""

from __future__ import annotations

import pytest

from mesh.call import Arity, Side
from mesh.chain import Chains, compile_chain
from mesh.errors import ChainError
from mesh.order import ORDER, Span, check
from mesh.policy.table import PolicyTable
from mesh.stage.scope import Scope
from mesh.telemetry.telemetry import Telemetry
from mesh.v1 import policy_pb2

RULES = [(slot.name, later) for slot in ORDER for later in slot.before]


def scope() -> Scope:
    chains = Chains(PolicyTable(), side=Side.CLIENT, target="shop", telemetry=Telemetry())
    return chains.scope("/shop.v1.Shop/Get", Arity.UNARY_UNARY)


def swapped(one: str, other: str) -> list:
    names = [slot.name for slot in ORDER]
    order = list(ORDER)
    i, j = names.index(one), names.index(other)
    order[i], order[j] = order[j], order[i]
    return order


def test_the_order_holds():
    check()


@pytest.mark.parametrize(("earlier", "later"), RULES, ids=[f"{one}-{other}" for one, other in RULES])
def test_each_broken_rule_is_reported_with_its_reason(earlier, later):
    because = next(slot.because for slot in ORDER if slot.name == earlier)

    with pytest.raises(ChainError) as caught:
        check(swapped(earlier, later))

    assert f"{earlier} must come before {later}: {because}" in str(caught.value).split("; ")


def test_every_broken_rule_is_reported_not_only_the_first():
    with pytest.raises(ChainError) as caught:
        check(reversed(ORDER))

    broken = str(caught.value).split("; ")
    assert {f"{one} must come before {other}" for one, other in RULES} == {
        rule.partition(":")[0] for rule in broken if "must come before" in rule
    }
    assert any("stages per call come first" in rule for rule in broken)


def test_a_slot_twice_is_reported():
    with pytest.raises(ChainError, match="deadline is there twice"):
        check([*ORDER, next(slot for slot in ORDER if slot.name == "deadline")])


def test_a_rule_about_a_slot_that_is_not_there_holds():
    check([slot for slot in ORDER if slot.name != "retry"])


def test_compiling_checks_the_order_it_is_given():
    with pytest.raises(ChainError):
        compile_chain(scope(), swapped("trace", "metrics"))


def test_rules_name_slots_that_exist():
    names = {slot.name for slot in ORDER}

    assert not {later for _, later in RULES} - names


def test_every_slot_has_a_reason():
    assert all(slot.because for slot in ORDER)


@pytest.mark.parametrize("slot", ORDER, ids=lambda slot: slot.name)
def test_every_slots_section_is_a_field_of_the_policy(slot):
    assert slot.section in policy_pb2.Policy.DESCRIPTOR.fields_by_name


def test_what_is_between_attempts_is_the_clients_alone():
    """A server sees one attempt: there is nothing between."""
    assert {slot.name for slot in ORDER if slot.span is not Span.CALL and Side.SERVER in slot.sides} == set()
