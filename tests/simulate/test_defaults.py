"""What the built-in defaults do to a fleet in trouble; docs/adr/0010-defaults-by-simulation.md has the reasons.

Every run is the same on every machine: virtual time, and one seed.
"""

import dataclasses

import pytest

from mesh import simulate
from mesh.simulate.baseline import NAIVE, NONE
from tests.simulate.scenario import EXAMPLES

pytestmark = pytest.mark.slow


def run(name, override=None, **changes):
    return simulate.run(
        dataclasses.replace(simulate.require(EXAMPLES / f"{name}.yaml", override=override), **changes)
    )


def fleet(clients, rate):
    scenario = simulate.require(EXAMPLES / "outage.yaml")
    return {
        "clients": dataclasses.replace(scenario.clients, count=clients),
        "arrivals": dataclasses.replace(scenario.arrivals, rate=rate),
    }


def test_a_full_outage_is_not_amplified():
    outage = run("outage").between(20, 80)

    assert 1.1 > outage.attempts_per_call
    assert 1.1 > outage.sent / outage.calls
    assert 0 == outage.succeeded


@pytest.mark.parametrize(("clients", "rate"), [(1, 300.0), (1000, 300.0)])
def test_a_full_outage_is_not_amplified_by_few_busy_nor_by_many_quiet_clients(clients, rate):
    assert 1.1 > run("outage", **fleet(clients, rate)).between(20, 80).attempts_per_call


def test_a_full_outage_is_tripled_by_three_tries():
    assert 3.0 == pytest.approx(run("outage", NAIVE).between(20, 80).attempts_per_call, abs=0.01)


def test_a_metastable_failure_recovers():
    found = run("metastable")

    assert 0.5 > found.between(10, 20).success_ratio
    assert 0.95 < found.between(21, 25).success_ratio
    assert 0.999 < found.between(25, 60).success_ratio


def test_a_metastable_failure_outlives_its_cause_under_three_tries():
    found = run("metastable", NAIVE)

    assert 1.0 == found.between(0, 10).success_ratio
    # Half a minute after the cause has gone.
    assert 0 == found.between(50, 60).succeeded


def test_a_fifth_of_errors_is_mended_within_the_budget():
    errors, untried = (run("errors", override).between(10, 50) for override in (None, NONE))

    assert 0.8 == pytest.approx(untried.success_ratio, abs=0.01)
    assert 0.98 < errors.success_ratio
    assert 1.35 > errors.attempts_per_call


def test_one_slow_backend_of_ten_costs_little_with_hedging():
    healthy = run("slow_backend", NONE, events=()).total.p99
    hedged, plain = run("slow_backend").total, run("slow_backend", NONE).total

    assert 4.0 < plain.p99 / healthy
    assert 1.3 >= hedged.p99 / healthy
    assert 1.25 > hedged.attempts_per_call
