"""What the admin port's pages say, from what workers answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.admin.page import Pages
from gateway.admin.port import METRICS_ONLY
from gateway.edge.metrics import ACTIVE_REQUESTS, REQUEST_DURATION
from mesh.telemetry.telemetry import Telemetry

ROUTES = {
    "routes": [
        {"http_method": "GET", "path": "/a", "method": "t.v1.S/A", "kind": "unary_unary", "target": "s"},
        {
            "http_method": "POST",
            "path": "/long",
            "method": "t.v1.S/B",
            "kind": "stream_stream",
            "target": "s",
        },
    ],
    "not_exposed": [{"method": "t.v1.S.C", "reason": "it has no google.api.http annotation"}],
}


class Workers:
    """Workers with these answers."""

    def __init__(self, **answers: Mapping[int, Any]) -> None:
        self._answers = answers
        self.asked: list[tuple[str, str]] = []

    async def ask(self, question: str, argument: str = "") -> Mapping[int, Any]:
        self.asked.append((question, argument))
        return self._answers.get(question, {})


def ready(*each: bool) -> Mapping[int, Any]:
    return {
        index: {"pid": 1, "since": "2026-01-01T00:00:00Z", "ready": one, "in_flight": index}
        for index, one in enumerate(each)
    }


@pytest.mark.parametrize(
    ("states", "status", "answer"),
    [
        pytest.param(ready(True, True), 200, {"status": "SERVING", "workers": 2, "ready": 2}, id="all"),
        pytest.param(
            ready(False, True), 200, {"status": "SERVING", "workers": 2, "ready": 1}, id="one is enough"
        ),
        pytest.param(ready(False), 503, {"status": "NOT_SERVING", "workers": 1, "ready": 0}, id="none"),
        pytest.param({}, 503, {"status": "NOT_SERVING", "workers": 0, "ready": 0}, id="nobody answers"),
    ],
)
async def test_readiness(states, status, answer):
    page = await Pages(Workers(state=states)).answer("/readyz", {})
    assert (page.status, json.loads(page.body)) == (status, answer)


async def test_workers_are_told_apart():
    page = await Pages(Workers(state=ready(True, False))).answer("/workers", {})
    shown = json.loads(page.body)["workers"]
    assert {name: (one["ready"], one["in_flight"]) for name, one in shown.items()} == {
        "0": (True, 0),
        "1": (False, 1),
    }


async def test_routes_for_programs_and_for_people():
    pages = Pages(Workers(routes={1: ROUTES}))
    assert json.loads((await pages.answer("/routes", {})).body) == ROUTES
    assert (await pages.answer("/routes", {"format": "text"})).body.decode().splitlines() == [
        "GET     /a     t.v1.S/A  unary_unary  s",
        "POST    /long  t.v1.S/B  stream_stream  s",
        "not exposed: t.v1.S.C (it has no google.api.http annotation)",
    ]


async def test_metrics_of_every_worker_at_one_address():
    parts = {}
    for index in range(2):
        telemetry = Telemetry()
        where = (("http.route", "/a"),)
        telemetry.aggregates.histogram(REQUEST_DURATION, where).record(0.2)
        telemetry.aggregates.observe(ACTIVE_REQUESTS, (), lambda index=index: index + 3)
        parts[index] = telemetry.snapshot()
    page = await Pages(Workers(metrics=parts, state=ready(True, True)), METRICS_ONLY).answer("/metrics", {})
    lines = page.body.decode().splitlines()
    for index in range(2):
        assert f'http_server_active_requests{{worker="{index}"}} {index + 3}.0' in lines
        assert f'http_server_request_duration_seconds_count{{http_route="/a",worker="{index}"}} 1.0' in lines
        assert any(line.startswith(f'process_resident_memory_bytes{{worker="{index}"}}') for line in lines)
    assert lines.count("# TYPE http_server_active_requests gauge") == 1


@pytest.mark.parametrize(
    ("path", "query", "status", "text"),
    [
        ("/policy", {}, 400, "say which: /policy?method=package.Service/Method"),
        ("/policy", {"method": "t.v1.S/A"}, 200, "deadline 1s"),
        ("/nowhere", {}, 404, "there is no such page; / lists them"),
        ("/schema", {}, 503, "no worker is ready"),
    ],
)
async def test_pages_that_are_text(path, query, status, text):
    workers = Workers(policy={0: {"text": "deadline 1s"}}, schema={0: None})
    page = await Pages(workers).answer(path, query)
    assert (page.status, page.body.decode()) == (status, f"{text}\n")


async def test_a_method_that_is_not_there():
    page = await Pages(Workers(policy={0: {"problem": '"x" is not a method'}})).answer(
        "/policy", {"method": "x"}
    )
    assert (page.status, page.body) == (404, b'"x" is not a method\n')


async def test_the_metrics_port_has_no_other_page():
    assert (await Pages(Workers(state=ready(True)), METRICS_ONLY).answer("/config", {})).status == 404
    assert (await Pages(Workers(), METRICS_ONLY).answer("/", {})).status == 404
