"""What a person reads: rows of time, totals side by side, and a dash where there is no figure."""

import json

from mesh import simulate
from mesh.simulate.report import render
from tests.simulate.scenario import scenario

TEXT = """\
name: a minute
duration: 40s
slice: 0.5s
arrivals: {process: ARRIVAL_PROCESS_CONSTANT, rate: 32}
clients: {count: 1}
backends: {count: 1, latency: {distribution: LATENCY_DISTRIBUTION_CONSTANT, median: 0.01s}, network_delay: 0s}
events: [{begin: 20s, length: 20s, outage: OUTAGE_FAIL}]
policy: {retry: {enabled: false}, circuit_breaker: {consecutive_failures: 1, open_for: 60s, max_open_for: 60s}}
"""
SHOWN = """\
a minute, seed 0: mine
 from s  offered/s  goodput/s      ok  attempts/call    load/s  wasted/s    p50 ms    p99 ms   circuits  refused by
      0         32         32  100.0%           1.00        32         0      10.0      10.0      1/0/0
     20         32          0    0.0%           0.00         0         0         -         -      0/0/1  circuit_breaker 639
circuits: clients whose circuit is closed/half-open/open at the end of the row

total                             mine
calls                             1279
goodput/s                         16.0
succeeded                        50.0%
attempts per call                0.500
load on backends/s                16.0
done for nobody                      0
p50 of successes, ms              10.0
p99 of successes, ms              10.0"""


def test_rows_and_totals(tmp_path):
    assert SHOWN == render({"mine": simulate.run(scenario(tmp_path, TEXT))}, rows=2)


def test_colours_say_how_many_succeed(tmp_path):
    shown = render(
        {"mine": simulate.run(scenario(tmp_path, TEXT))},
        rows=2,
        paint=lambda text, colour: f"<{colour}>{text}" if colour else text,
    )

    assert "\n<red>     20 " in shown
    assert "\n      0 " in shown
    assert shown.startswith("<bold>a minute")


def test_results_are_json(tmp_path):
    found = simulate.run(scenario(tmp_path, TEXT))
    tree = json.loads(json.dumps(found.as_dict(), allow_nan=False))

    assert 80 == len(tree["slices"])
    assert ("a minute", 0, 1279) == (tree["name"], tree["seed"], tree["total"]["calls"])
    assert {"closed": 0, "half_open": 0, "open": 1} == tree["slices"][-1]["circuits"]
    assert (None, None) == (tree["slices"][-1]["p50"], tree["slices"][-1]["p99"])
    assert {"circuit_breaker": 16} == tree["slices"][-1]["rejections"]
