"""One sample for each call and attempt, whatever their ending, under labels made once."""

from __future__ import annotations

import pytest

from mesh.call import Side
from mesh.contract import Stage
from mesh.policy.observe import MetricsPolicy
from mesh.policy.policy import Policy
from mesh.stage import attempt_metrics, metrics
from mesh.telemetry.telemetry import Telemetry
from tests.telemetry.drive import ENDINGS, end, scope

POLICY = Policy(metrics=MetricsPolicy())


def make(side: Side = Side.CLIENT) -> tuple[Telemetry, Stage, Stage]:
    telemetry = Telemetry()
    place = scope(POLICY, telemetry, side)
    per_call, per_attempt = metrics.build(place), attempt_metrics.build(place)
    assert per_call is not None
    assert per_attempt is not None
    return telemetry, per_call, per_attempt


def read(telemetry: Telemetry, name: str) -> dict:
    return {
        tuple(value for key, value in series.attributes): series.value
        for series in telemetry.snapshot()
        if series.instrument.name == name
    }


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("side", Side)
def test_every_ending_is_counted_once_under_its_status(ending, side):
    telemetry, per_call, _ = make(side)
    status = ENDINGS[ending][1]

    end(ending, [per_call])

    durations = read(telemetry, f"rpc.{side.value}.call.duration")
    assert [(labels[3], value.total) for labels, value in durations.items()] == [(status, 1)]
    assert list(read(telemetry, f"mesh.{side.value}.active_calls").values()) == [0]


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_attempt_on_the_wire_is_counted_once_and_refused_ones_are_not(ending):
    telemetry, per_call, per_attempt = make()

    end(ending, [per_call], [per_attempt])

    durations = read(telemetry, "grpc.client.attempt.duration")
    assert sum(value.total for value in durations.values()) == ENDINGS[ending][2]


def test_a_call_takes_as_long_as_all_its_attempts_and_waits_and_an_attempt_as_long_as_the_wire():
    telemetry, per_call, per_attempt = make()

    end("retried", [per_call], [per_attempt])

    calls = read(telemetry, "rpc.client.call.duration")
    attempts = read(telemetry, "grpc.client.attempt.duration")
    assert [value.sum for value in calls.values()] == [0.75]
    assert {labels[2]: value.sum for labels, value in attempts.items()} == {"UNAVAILABLE": 0.25, "OK": 0.25}


def test_calls_in_flight_are_seen_while_they_are():
    telemetry, per_call, _ = make(Side.SERVER)
    seen = []

    end(
        "ok", [per_call], on_attempt=lambda: seen.extend(read(telemetry, "mesh.server.active_calls").values())
    )

    assert seen == [1]


@pytest.mark.parametrize("ending", ["rejected per call", "rejected per attempt"])
def test_refused_calls_are_counted_by_the_stage_that_refused(ending):
    telemetry, per_call, per_attempt = make()

    end(ending, [per_call], [per_attempt])

    where = ("grpc", "shop.v1.Catalog/GetProduct", "catalog")
    assert read(telemetry, "mesh.client.rejections") == {(*where, "refuse"): 1}


@pytest.mark.parametrize(("side", "errors"), [(Side.CLIENT, True), (Side.SERVER, False)])
def test_not_found_is_an_error_of_the_client_and_an_answer_of_the_server(side, errors):
    telemetry, per_call, _ = make(side)

    end("error", [per_call])

    attributes = [
        dict(series.attributes)
        for series in telemetry.snapshot()
        if series.instrument.name == f"rpc.{side.value}.call.duration"
    ]
    expected = {
        "rpc.system.name": "grpc",
        "rpc.method": "shop.v1.Catalog/GetProduct",
        "mesh.target": "catalog",
        "rpc.response.status_code": "NOT_FOUND",
    }
    assert attributes == [expected | ({"error.type": "NOT_FOUND"} if errors else {})]


def test_a_chain_compiled_again_goes_on_counting():
    telemetry = Telemetry()
    for _ in range(2):
        stage = metrics.build(scope(POLICY, telemetry))
        assert stage is not None
        end("ok", [stage])

    assert [value.total for value in read(telemetry, "rpc.client.call.duration").values()] == [2]


def test_no_stage_where_metrics_are_off():
    off = scope(Policy(), Telemetry())

    assert metrics.build(off) is None
    assert attempt_metrics.build(off) is None
