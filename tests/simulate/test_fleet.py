"""The modelled fleet: what theory says of it, what its events do, and that chance is the seed's."""

import math

import pytest

from mesh import simulate
from mesh.simulate.baseline import NONE
from tests.simulate.scenario import scenario

STEADY = """\
duration: 20s
arrivals: {process: ARRIVAL_PROCESS_CONSTANT, rate: 50}
clients: {count: 2}
backends:
  count: 4
  latency: {distribution: LATENCY_DISTRIBUTION_CONSTANT, median: 0.01s}
  network_delay: 0.001s
"""


def test_equal_scenarios_have_equal_results(tmp_path):
    text = "duration: 5s\nevents: [{begin: 1s, length: 1s, error_percent: 50}]\n"
    first, second = (simulate.run(scenario(tmp_path, text)) for _ in range(2))
    other = simulate.run(scenario(tmp_path, text + "seed: 1"))

    assert first == second
    assert first.as_dict() == second.as_dict()
    assert first != other


def test_what_a_policy_draws_is_the_seeds_too(tmp_path):
    text = "duration: 5s\npolicy: {fault: {abort: {code: STATUS_CODE_UNAVAILABLE, percent: 20}}}\n"
    first, second = (simulate.run(scenario(tmp_path, text)) for _ in range(2))

    assert first == second
    assert {"OK", "UNAVAILABLE"} == set(first.total.statuses)


def test_two_policies_are_compared_under_the_same_calls(tmp_path):
    text = "duration: 5s\nevents: [{begin: 1s, length: 1s, error_percent: 50}]\n"
    one, other = (simulate.run(scenario(tmp_path, text, override)) for override in (None, NONE))

    assert [piece.calls for piece in one.slices] == [piece.calls for piece in other.slices]
    assert one.total.attempts != other.total.attempts


def test_a_call_takes_the_wire_twice_and_its_work(tmp_path):
    total = simulate.run(scenario(tmp_path, STEADY)).total

    assert 1.0 == total.success_ratio == total.attempts_per_call
    assert [0.012] * 2 == pytest.approx([total.p50, total.p99])


def test_one_worker_is_the_queue_of_the_textbook(tmp_path):
    """M/M/1: the time in the system is exponential, with the rate of the work less the rate of the calls."""
    total = simulate.run(
        scenario(
            tmp_path,
            """\
            duration: 3000s
            slice: 100s
            warm_up: 100s
            arrivals: {rate: 5}
            clients: {count: 1}
            backends:
              count: 1
              workers: 1
              latency: {distribution: LATENCY_DISTRIBUTION_EXPONENTIAL, median: 0.0693147s}
              network_delay: 0s
            """,
            NONE,
        )
    ).total

    assert math.log(2) / (10 - 5) == pytest.approx(total.p50, rel=0.1)
    assert math.log(100) / (10 - 5) == pytest.approx(total.p99, rel=0.1)


def test_lognormal_work_has_the_percentiles_it_is_given(tmp_path):
    total = simulate.run(
        scenario(
            tmp_path,
            """\
            duration: 100s
            arrivals: {rate: 200}
            backends: {workers: 1000, latency: {median: 0.01s, p99: 0.1s}, network_delay: 0s}
            """,
        )
    ).total

    assert [0.01, 0.1] == pytest.approx([total.p50, total.p99], rel=0.1)


def test_a_backend_that_is_down_is_left_out(tmp_path):
    found = simulate.run(
        scenario(tmp_path, STEADY + "events: [{begin: 5s, length: 5s, backends: 3, outage: OUTAGE_DOWN}]")
    )

    # What was on the wire when it went down is lost, and tried again.
    assert 1.0 == found.total.success_ratio
    assert 1 >= found.total.attempts - found.total.calls


def test_where_all_are_down_calls_fail_and_load_nobody(tmp_path):
    found = simulate.run(
        scenario(tmp_path, STEADY + "events: [{begin: 5s, length: 5s, outage: OUTAGE_DOWN}]", NONE)
    )

    assert (0, 0) == (found.between(5, 10).succeeded, found.between(5.1, 10).sent)
    assert {"UNAVAILABLE": 250} == found.between(5, 10).statuses
    assert 1.0 == found.between(10, 20).success_ratio


def test_a_backend_that_hangs_costs_a_deadline_each_time(tmp_path):
    found = simulate.run(
        scenario(
            tmp_path,
            STEADY + "events: [{begin: 5s, length: 5s, backends: 1, outage: OUTAGE_HANG}]",
            NONE,
        )
    )

    assert {"DEADLINE_EXCEEDED": 62, "OK": 188} == pytest.approx(found.between(5, 10).statuses, abs=1)
    assert found.between(10, 20).statuses == {"OK": 500}


def test_the_clients_timeout_is_the_calls(tmp_path):
    found = simulate.run(
        scenario(tmp_path, STEADY.replace("count: 2}", "count: 2, timeout: 0.0105s}") + "policy: {circuit_breaker: {enabled: false}}")
    )  # fmt: skip

    assert {"DEADLINE_EXCEEDED": found.total.calls} == found.total.statuses
    assert found.total.calls == pytest.approx(found.total.wasted, abs=1)


def test_slowdowns_multiply(tmp_path):
    found = simulate.run(
        scenario(
            tmp_path,
            STEADY + "events: [{begin: 5s, length: 5s, slowdown: 2}, {begin: 7s, length: 3s, slowdown: 5}]",
        )
    )

    assert [0.012, 0.022, 0.102, 0.012] == pytest.approx(
        [found.between(begin, begin + 1).p50 for begin in (2, 6, 8, 12)]
    )


def test_errors_come_in_their_share(tmp_path):
    text = STEADY.replace("  count: 4", "  count: 4\n  error_percent: 10\n  error_code: STATUS_CODE_INTERNAL")
    found = simulate.run(scenario(tmp_path, text + "events: [{begin: 10s, error_percent: 50}]", NONE))

    assert 0.9 == pytest.approx(found.between(0, 10).success_ratio, abs=0.04)
    assert 0.5 == pytest.approx(found.between(10, 20).success_ratio, abs=0.07)
    assert {"INTERNAL", "OK"} == set(found.total.statuses)


def test_missing_workers_make_a_queue_which_is_worked_off_when_they_are_back(tmp_path):
    found = simulate.run(
        scenario(
            tmp_path,
            STEADY.replace("  count: 4", "  count: 4\n  workers: 1")
            + "events: [{begin: 5s, length: 5s, capacity_percent: 0}]",
            NONE,
        )
    )

    assert {"OK": found.total.calls} == found.total.statuses
    assert found.between(5, 6).p50 > 4.0
    assert 0.012 == pytest.approx(found.between(15, 20).p99)


def test_a_full_queue_refuses(tmp_path):
    """One worker without a queue loses calls by Erlang's formula: a / (1 + a) of them at a load of a."""
    total = simulate.run(
        scenario(
            tmp_path,
            """\
            duration: 20s
            arrivals: {rate: 200}
            backends: {count: 1, workers: 1, queue: 0, latency: {median: 0.01s, p99: 0.01s}}
            """,
            NONE,
        )
    ).total

    assert {"OK", "RESOURCE_EXHAUSTED"} == set(total.statuses)
    assert 1 - 2 / (1 + 2) == pytest.approx(total.success_ratio, rel=0.05)


@pytest.mark.parametrize(("finishes", "sent"), [("true", "wasted"), ("false", "stopped")])
def test_work_for_those_who_have_gone_is_finished_or_stopped(tmp_path, finishes, sent):
    """Some calls take 0.1 s and are given up after 0.05 s: what their worker does then is the scenario's to say."""
    found = simulate.run(
        scenario(
            tmp_path,
            f"""\
            duration: 20s
            arrivals: {{process: ARRIVAL_PROCESS_CONSTANT, rate: 60}}
            clients: {{count: 1, timeout: 0.05s}}
            backends:
              count: 1
              workers: 1
              latency: {{distribution: LATENCY_DISTRIBUTION_CONSTANT, median: 0.1s}}
              network_delay: 0s
              finishes_abandoned: {finishes}
            events: [{{begin: 10s, slowdown: 0.02}}]
            """,
            NONE,
        )
    )

    # 60 calls of 0.1 s are more than one worker can do, so it has a queue at 10 s if it does them to their end.
    assert 0 == found.between(0, 9).succeeded
    assert (sent == "wasted") == (found.between(0, 10).wasted > 0)
    assert (sent == "wasted") == (found.between(10, 11).success_ratio < 1.0)
    assert 1.0 == found.between(14, 20).success_ratio


def test_who_has_gone_leaves_the_queue_of_a_backend_that_stops_work(tmp_path):
    text = (
        STEADY.replace("count: 2}", "count: 2, timeout: 1s}")
        + "events: [{begin: 5s, length: 5s, capacity_percent: 0}]\n"
    )
    stops, finishes = (
        simulate.run(
            scenario(tmp_path, text.replace("  count: 4", f"  count: 4\n  finishes_abandoned: {value}"), NONE)
        )
        for value in ("false", "true")
    )

    # Four of five seconds' calls are given up by then, and those that the work for them holds up.
    assert 0 == stops.total.wasted
    assert 200 == pytest.approx(finishes.total.wasted, abs=10)


def test_an_answer_that_comes_while_a_hedge_is_held_up_is_not_lost(tmp_path):
    """Every attempt is delayed by 50 ms; the first answers at 71 ms, while the second waits until 105 ms to start."""
    found = simulate.run(
        scenario(
            tmp_path,
            STEADY.replace("median: 0.01s", "median: 0.019s")
            + "policy: {hedge: {delay: 0.005s}, fault: {delay: {duration: 0.05s}}, retry: {budget: {min_per_second: 100}}}",
        )
    ).total

    assert 1.0 == found.success_ratio
    assert [0.105] * 2 == pytest.approx([found.p50, found.p99])


def test_a_hedge_that_is_faster_wins(tmp_path):
    """One backend of four hangs: who meets it asks the next after 20 ms, so four attempts are three calls."""
    found = simulate.run(
        scenario(
            tmp_path,
            STEADY
            + "events: [{begin: 0s, backends: 1, outage: OUTAGE_HANG}]\n"
            + "policy: {hedge: {delay: 0.02s}, retry: {budget: {ratio: 1}}}",
        )
    ).total

    assert 1.0 == found.success_ratio
    assert 4 / 3 == pytest.approx(found.attempts_per_call, abs=0.01)
    assert [0.012, 0.032] == pytest.approx([found.p50, found.p99])


def test_the_servers_own_chain_refuses(tmp_path):
    found = simulate.run(
        scenario(
            tmp_path,
            STEADY.replace("rate: 50", "rate: 2000") + "policy: {server_concurrency: {max_in_flight: 2}}",
        )
    ).total

    assert found.refused["server_concurrency"] > 0
    # What arrives after the last piece of time is in none.
    assert found.statuses["RESOURCE_EXHAUSTED"] == pytest.approx(found.refused["server_concurrency"], abs=2)


def test_circuits_are_those_of_the_clients_metrics(tmp_path):
    found = simulate.run(
        scenario(tmp_path, STEADY + "events: [{begin: 5s, length: 5s, outage: OUTAGE_FAIL}]")
    )

    assert (2, 0, 0) == found.slices[4].circuits
    assert (0, 0, 2) == found.slices[6].circuits
    assert found.between(5, 10).rejections["circuit_breaker"] > 200


def test_calls_in_flight_at_the_end_are_followed_until_they_end(tmp_path):
    found = simulate.run(
        scenario(tmp_path, "duration: 2s\nbackends: {workers: 1000, latency: {median: 3s, p99: 3s}}")
    )

    assert found.total.calls == found.total.succeeded


def test_the_warm_up_is_in_no_total(tmp_path):
    found = simulate.run(scenario(tmp_path, STEADY + "warm_up: 15s"))

    assert (15.0, 20.0) == (found.total.begin, found.total.end)
    assert found.between(15, 20) == found.total
    assert 20 == len(found.slices)


def test_between_needs_a_slice(tmp_path):
    found = simulate.run(scenario(tmp_path, STEADY))

    with pytest.raises(ValueError, match=r"no slice lies within 3\.2s and 3\.9s"):
        found.between(3.2, 3.9)


@pytest.mark.parametrize(("clients", "backends"), [(1, 1), (1000, 1000)])
def test_fleets_of_every_size(tmp_path, clients, backends):
    text = f"duration: 1s\nclients: {{count: {clients}}}\nbackends: {{count: {backends}}}"

    assert 1.0 == simulate.run(scenario(tmp_path, text)).total.success_ratio
