"""When calls are made: processes, bursts and load, and the closed loop."""

import pytest

from mesh import simulate
from mesh.simulate.arrival import rates
from tests.simulate.scenario import scenario

QUIET = (
    "backends: {latency: {distribution: LATENCY_DISTRIBUTION_CONSTANT, median: 0.01s}, network_delay: 0s}\n"
)


def test_constant_arrivals_are_evenly_spaced(tmp_path):
    found = simulate.run(
        scenario(tmp_path, QUIET + "duration: 10s\narrivals: {process: ARRIVAL_PROCESS_CONSTANT, rate: 8}")
    )

    assert [7, *[8] * 9] == [piece.calls for piece in found.slices]
    assert 79 == found.total.calls


def test_poisson_arrivals_have_the_rate_on_average(tmp_path):
    found = simulate.run(scenario(tmp_path, QUIET + "duration: 100s\narrivals: {rate: 100}"))
    counts = [piece.calls for piece in found.slices]

    assert 10_000 == pytest.approx(found.total.calls, rel=0.04)
    # As many as expected, and as different: the variance of a Poisson distribution is its mean.
    assert 100 == pytest.approx(sum((count - 100) ** 2 for count in counts) / len(counts), rel=0.5)


def test_bursts_and_load_multiply_the_rate_while_they_last(tmp_path):
    found = scenario(
        tmp_path,
        """\
        duration: 10s
        arrivals: {rate: 10, bursts: {every: 4s, length: 2s, factor: 3}}
        events: [{begin: 5s, length: 2s, load: 2}]
        """,
    )

    assert [(0.0, 10), (4.0, 30), (5.0, 60), (6.0, 20), (7.0, 10), (8.0, 30)] == rates(found)


def test_a_change_of_rate_stretches_what_is_left_of_a_gap(tmp_path):
    """At one call in 10 s, then ten a second: the gap that began slow ends fast."""
    found = simulate.run(
        scenario(
            tmp_path,
            QUIET
            + """
duration: 7s
arrivals: {process: ARRIVAL_PROCESS_CONSTANT, rate: 0.1}
events: [{begin: 5s, load: 100}]
""",
        )
    )

    # Half a gap is over after 5 s; the other half takes 0.05 s, then a call each 0.1 s.
    assert [0, 0, 0, 0, 0, 10, 10] == [piece.calls for piece in found.slices]


def test_users_wait_for_their_answer(tmp_path):
    """100 users who think for a second and wait for a tenth of one make 100 / 1.1 calls a second."""
    found = simulate.run(
        scenario(
            tmp_path,
            """\
            duration: 100s
            warm_up: 10s
            arrivals: {process: ARRIVAL_PROCESS_CLOSED, users: 100, think_time: 1s}
            backends:
              workers: 100
              latency: {distribution: LATENCY_DISTRIBUTION_CONSTANT, median: 0.1s}
              network_delay: 0s
            """,
        )
    )

    assert 100 / 1.1 == pytest.approx(found.total.offered, rel=0.05)
    assert 1.0 == found.total.success_ratio


def test_calls_are_spread_over_the_clients(tmp_path):
    """Each client has a limit of its own: ten of them let ten times as many through as one."""
    text = """\
        duration: 20s
        arrivals: {rate: 1000}
        clients: {count: %d}
        backends: {workers: 1000, latency: {distribution: LATENCY_DISTRIBUTION_CONSTANT, median: 1s}}
        policy: {client_concurrency: {max_in_flight: 10}}
        """
    one = simulate.run(scenario(tmp_path, text % 1)).total.succeeded
    ten = simulate.run(scenario(tmp_path, text % 10)).total.succeeded

    assert 10 == pytest.approx(ten / one, rel=0.1)
