"""What the benchmark says of its windows."""

import pytest

from bench import report
from bench.comparison import Budget, Comparison
from bench.measure import Load, Window

LOAD = Load(concurrency=32, seconds=1.0)
PAIR = Comparison(name="pair", title="A pair", asks="", contenders=(("bare", "bare"), ("ours", "ours")))


def window(contender, number, microseconds, latencies=(1000, 2000)):
    return Window(
        comparison="pair",
        contender=contender,
        load=LOAD.title,
        round=number,
        cpu=microseconds * len(latencies) / 1e6,
        latencies=list(latencies),
        seconds=0.5,
        generator_cpu=0.0,
        backend_cpu=0.0,
    )


def table(bare, ours):
    windows = [window("bare", number, cost) for number, cost in enumerate(bare)]
    windows += [window("ours", number, cost) for number, cost in enumerate(ours)]
    return report.rows(windows, [PAIR], [LOAD])


def test_each_round_is_compared_with_its_own_baseline():
    # The second round ran on a machine twice as busy: the ratio holds, and a difference of medians would not.
    _, ours = table(bare=[40, 80, 40], ours=[50, 100, 50])
    assert ours.ratio == pytest.approx(1.25)
    assert ours.extra == pytest.approx(10)
    assert ours.cpu == pytest.approx(50)
    assert ours.spread == pytest.approx((50, 100))


def test_one_round_that_stalled_does_not_decide_the_latencies():
    windows = [
        window(name, number, 10, latencies=[latency] * 50)
        for name in ("bare", "ours")
        for number, latency in enumerate((1000, 900_000, 2000))
    ]
    bare, _ = report.rows(windows, [PAIR], [LOAD])
    assert (bare.p50, bare.p99) == (2.0, 2.0)
    assert bare.rate == 100


@pytest.mark.parametrize(
    ("limit", "ours", "measured", "verdict"),
    [
        ({"extra": 15}, [52], "+12.0 us, 1.30 x", "met"),
        ({"extra": 15}, [60], "+20.0 us, 1.50 x", "missed by 5.0 us"),
        ({"ratio": 1.25}, [50], "1.25 x", "met"),
        ({"ratio": 1.25}, [60], "1.50 x", "missed by 0.25 x"),
    ],
)
def test_a_budget_is_met_or_missed_by_so_much(limit, ours, measured, verdict):
    budget = Budget(title="ours", comparison="pair", contender="ours", **limit)
    (standing,) = report.standings(table([40], ours), [budget])
    assert (standing.measured, standing.verdict) == (measured, verdict)
    assert standing.met is (verdict == "met")


def test_every_figure_is_under_its_load():
    text = report.render(table([40], [50]), [PAIR], [])
    assert "32 in flight" in text
    assert "+10.0" in text


def test_budgets_name_contenders_that_are_measured():
    from bench.comparison import BUDGETS, COMPARISONS

    measured = {(each.name, name) for each in COMPARISONS for name, _ in each.contenders}
    assert {(budget.comparison, budget.contender) for budget in BUDGETS} <= measured
