"""The example scenarios run, and the tables of the decision record are made by what stands beside them."""

import dataclasses
import importlib.util

import pytest

from mesh import simulate
from tests.simulate.scenario import EXAMPLES


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_an_example_runs(file):
    scenario = simulate.require(file)
    found = simulate.run(dataclasses.replace(scenario, duration=scenario.warm_up + 2.0))

    assert 0 < found.total.calls == sum(found.total.statuses.values())


def test_the_tables_of_the_decision_record_name_policies_that_are_valid():
    spec = importlib.util.spec_from_file_location("defaults", EXAMPLES / "defaults.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    assert ["outage", "recovery", "errors", "metastable", "hedging"] == list(module.TABLES)
    for budget in module.BUDGET.values():
        assert module.run("errors", module.policy(retry={"budget": budget}), duration=1.0)
