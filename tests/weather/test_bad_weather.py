"""A backend hangs, dies, comes back, freezes and thaws under load: what clients see, and what each stage did."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.weather.expectation import (
    BUDGET_FLOOR,
    BUDGET_RATIO,
    BUDGET_WINDOW,
    DEADLINE,
    LATE,
    QUICK,
    check_errors,
    check_unaffected,
    is_well,
    median,
    omitted,
    stops_cleanly,
)
from tests.weather.load import Answer, Connection, Load, Stream
from tests.weather.metrics import (
    ACTIVE,
    ATTEMPTS,
    CALLS,
    CIRCUIT,
    CLOSED,
    HANDLED,
    OPEN,
    REJECTIONS,
    Page,
    scrape,
)

_log = logging.getLogger(__name__)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

WIND = "weather.v1.StormService/GetWind"
GUST = "weather.v1.StormService/GetGust"
SKY = "weather.v1.CalmService/GetSky"

LOAD = {
    "/v1/sky": Stream(4, 12),
    "/v1/wind": Stream(8, 8),
    "/v1/gust": Stream(4, 8),
    "/v1/page": Stream(1, 5),
    "/v1/forecast": Stream(1, 5),
}
ASKED = sum(stream.connections * stream.per_second for stream in LOAD.values())

# The circuit breaker of conftest.
FAILURES_IN_A_ROW = 10
OPEN_FOR = 0.5


class Phase:
    """A stretch of time: what was answered to requests that began in it, and what was counted meanwhile."""

    def __init__(self, began: float, before: Page) -> None:
        self.began = began
        self.before = self.after = before
        self.seconds = 0.0
        self.answers: Sequence[Answer] = ()

    def of(self, path: str) -> list[Answer]:
        return [answer for answer in self.answers if answer.path == path]

    def statuses(self, path: str) -> Counter[int]:
        return Counter(answer.status for answer in self.of(path))

    def grew(self, name: str, method: str, **labels: str) -> float:
        return self.after.total(name, method, **labels) - self.before.total(name, method, **labels)


async def during(load: Load, metrics: int, seconds: float) -> Phase:
    """Let time pass; return what happened."""
    phase = Phase(time.monotonic(), await scrape(metrics))
    await asyncio.sleep(seconds)
    phase.after = await scrape(metrics)
    phase.answers = load.since(phase.began)
    phase.seconds = time.monotonic() - phase.began
    return phase


async def until(condition: Callable[[], Any], seconds: float = 15.0) -> float:
    """Wait until it holds; return how long that took."""
    began = time.monotonic()
    while not await condition():
        assert time.monotonic() - began < seconds, "it never came about"
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def circuit_is(metrics: int, state: float) -> bool:
    return state == (await scrape(metrics)).total(CIRCUIT, WIND)


def most_attempts(seconds: float) -> float:
    """Return how many attempts may end while a circuit is open: those in flight when it opened, and its probes."""
    return LOAD["/v1/wind"].connections + seconds / OPEN_FOR + 2


async def set_mood(port: int, **mood: bool) -> tuple[int, int]:
    """Tell the storm what to do; return how many calls have hung so far, and how many of them were cancelled."""
    connection = await Connection.open(port)
    body = json.dumps(mood).encode()
    answer = await connection.request("/v1/mood", method="POST", body=body)
    connection.close()
    assert answer.status == 200, answer
    return answer.body.get("hung", 0), answer.body.get("cancelled", 0)


async def last_line(connection: Connection) -> Any:
    """Read a stream to its end; return the last line of NDJSON."""
    received = await connection.reader.readuntil(b"0\r\n\r\n")
    return json.loads([line for line in received.splitlines() if line.startswith(b"{")][-1])


async def test_a_backend_hangs_dies_and_comes_back(raise_sky):
    sky = raise_sky()
    port, metrics, storm = sky.gateway.port, sky.metrics, sky.storm
    async with Load(port, LOAD) as load:
        # Healthy. The first requests wait for connections.
        await until(lambda: all_paths_answer(load))
        healthy = await during(load, metrics, 1.0)
        usual = median(healthy.of("/v1/sky"))
        assert is_well(healthy.answers)
        assert len(healthy.answers) > 0.3 * ASKED * healthy.seconds, "it was under load"
        assert healthy.grew(REJECTIONS, WIND) == 0
        assert healthy.grew(ATTEMPTS, GUST) == pytest.approx(healthy.grew(CALLS, GUST), abs=8)

        # Hanging: calls end at their deadline until the circuit opens.
        await set_mood(port, hangs=True)
        began = time.monotonic()
        opened_after = await until(lambda: circuit_is(metrics, OPEN))
        hanging = await during(load, metrics, 1.5)
        winds = load.since(began, "/v1/wind")
        late = [answer for answer in winds if answer.status == 504]
        refused = [answer for answer in winds if answer.status == 503]
        assert len(late) + len(refused) == len(winds)
        assert all(DEADLINE * 0.9 < answer.seconds < LATE for answer in late)
        assert median(late) < DEADLINE + QUICK
        # Those in flight when it opens end late too, and so do probes.
        at_most = FAILURES_IN_A_ROW + most_attempts(time.monotonic() - began)
        assert FAILURES_IN_A_ROW <= len(late) <= at_most
        assert all(answer.body["message"].startswith("circuit open for") for answer in refused)
        # Once open: answers at once, without attempts.
        by_breaker = hanging.grew(REJECTIONS, WIND, mesh_rejected_by="circuit_breaker")
        assert by_breaker > 0.3 * LOAD["/v1/wind"].connections * LOAD["/v1/wind"].per_second * hanging.seconds
        assert by_breaker == hanging.grew(REJECTIONS, WIND)
        assert hanging.grew(ATTEMPTS, WIND) <= most_attempts(hanging.seconds)
        assert median([answer for answer in hanging.of("/v1/wind") if answer.status == 503]) < QUICK
        # Without a breaker they go on waiting; DEADLINE_EXCEEDED is not tried again.
        assert set(hanging.statuses("/v1/gust")) == {504}
        assert all(DEADLINE * 0.9 < answer.seconds < LATE for answer in hanging.of("/v1/gust"))
        assert hanging.grew(ATTEMPTS, GUST) == pytest.approx(hanging.grew(CALLS, GUST), abs=8)
        # A page does without what hangs, unless it needs it.
        assert set(hanging.statuses("/v1/page")) == {200}
        assert {("gust", "DEADLINE_EXCEEDED")} == {
            step for page in hanging.of("/v1/page") for step in omitted(page)
        }
        assert set(hanging.statuses("/v1/forecast")) == {504}
        # One method's circuit is no other's: the mood can still be set. What hung was cancelled, but for
        # what is in flight.
        hung, cancelled = await set_mood(port, hangs=True)
        assert FAILURES_IN_A_ROW <= hung - sum(stream.connections for stream in LOAD.values()) <= cancelled
        handled = await scrape(storm.metrics)
        ended = {status: handled.total(HANDLED, WIND, rpc_response_status_code=status) for status in ENDED}
        assert ended["CANCELLED"] + ended["DEADLINE_EXCEEDED"] >= FAILURES_IN_A_ROW, ended

        # Dead, in the middle of a stream.
        watcher = await Connection.open(port)
        watcher.send("GET", "/v1/wind:watch")
        assert (await watcher.head())[0] == 200
        await watcher.reader.readuntil(b'"knots":12')
        storm.kill()
        broken = await last_line(watcher)
        assert broken["error"]["code"] == 14
        watcher.close()
        await asyncio.sleep(DEADLINE + 0.2)
        dead = await during(load, metrics, 2.5)
        for path in ("/v1/wind", "/v1/gust", "/v1/forecast"):
            assert set(dead.statuses(path)) == {503}, path
            assert median(dead.of(path)) < QUICK + DEADLINE / 2
        assert set(dead.statuses("/v1/page")) == {200}
        assert {("gust", "UNAVAILABLE")} == {step for page in dead.of("/v1/page") for step in omitted(page)}
        assert dead.grew(ATTEMPTS, WIND) <= most_attempts(dead.seconds)
        assert dead.grew(REJECTIONS, WIND) > 0
        # Retries are paid for by calls, those of the window before included, and a floor for each window begun.
        retries = dead.grew(ATTEMPTS, GUST) - dead.grew(CALLS, GUST)
        calls = sum(dead.grew(CALLS, method) for method in (WIND, GUST))
        earned = BUDGET_RATIO * calls * (dead.seconds + BUDGET_WINDOW) / dead.seconds
        floor = BUDGET_FLOOR * (dead.seconds + BUDGET_WINDOW)
        at_most = earned + floor + LOAD["/v1/gust"].connections
        assert 0 < retries <= at_most
        assert at_most < 2 * dead.grew(CALLS, GUST), "what three attempts without a budget would have made"

        # Back, at the same address.
        storm.start()
        returned = time.monotonic()
        closed_after = await until(lambda: circuit_is(metrics, CLOSED))
        await until(lambda: all_succeed(load))
        succeeded_after = time.monotonic() - returned
        back = await during(load, metrics, 1.0)
        assert is_well(back.answers)
        assert back.grew(REJECTIONS, WIND) == 0
        assert back.grew(ATTEMPTS, GUST) == pytest.approx(back.grew(CALLS, GUST), abs=8)
    check_errors(load.answers)
    check_unaffected(load, began, usual)

    # Every call was settled, once.
    end = await scrape(metrics)
    assert end.total(CALLS, WIND) == len(load.since(0.0, "/v1/wind"))
    assert end.total(CALLS, GUST) == sum(
        len(load.since(0.0, path)) for path in ("/v1/gust", "/v1/page", "/v1/forecast")
    )
    assert [end.total(ACTIVE, method) for method in (SKY, WIND, GUST)] == [0, 0, 0]
    await stops_cleanly(sky)
    observed = {
        "requests": len(load.answers),
        "opened after": f"{opened_after:.2f} s",
        "504": f"{len(late)}, median {median(late):.3f} s, at most {max(a.seconds for a in late):.3f} s",
        "503 by breaker": f"{by_breaker:.0f}, median {median(refused):.4f} s",
        "attempts while open": hanging.grew(ATTEMPTS, WIND),
        "hung, cancelled": (hung, cancelled),
        "handled": ended,
        "dead": f"503 in {median(dead.of('/v1/gust')):.4f} s; {retries:.0f} retries of {calls:.0f} calls",
        "closed after": f"{closed_after:.2f} s",
        "succeeded after": f"{succeeded_after:.2f} s",
        "calm": f"{usual:.4f} s before, {median(load.since(began, '/v1/sky')):.4f} s since, "
        f"at most {max(a.seconds for a in load.since(began, '/v1/sky')):.3f} s",
    }
    for name, value in observed.items():
        _log.info("%s: %s", name, value)


ENDED = ("OK", "CANCELLED", "DEADLINE_EXCEEDED")


async def all_paths_answer(load: Load) -> bool:
    return {path for path in LOAD if load.since(0.0, path)} == set(LOAD)


async def all_succeed(load: Load) -> bool:
    """Whether every path's last answers are as if nothing had been."""
    return all(
        all(answer.status == 200 and not omitted(answer) for answer in answers[-3:])
        for answers in (load.since(0.0, path) for path in LOAD)
    )


async def test_a_backend_freezes_and_thaws(raise_sky):
    """Nothing answers, not even the other side's TCP close: only the deadline helps, then the circuit."""
    sky = raise_sky()
    port, metrics = sky.gateway.port, sky.metrics
    streams = {path: LOAD[path] for path in ("/v1/sky", "/v1/wind")}
    async with Load(port, streams) as load:
        await until(lambda: succeed(load, streams))
        healthy = await during(load, metrics, 0.5)
        sky.storm.freeze()
        began = time.monotonic()
        await until(lambda: circuit_is(metrics, OPEN))
        frozen = await during(load, metrics, 1.0)
        sky.storm.thaw()
        await until(lambda: circuit_is(metrics, CLOSED))
        await until(lambda: succeed(load, streams))
        thawed = await during(load, metrics, 0.5)
    assert set(frozen.statuses("/v1/wind")) <= {503, 504}
    assert all(
        DEADLINE * 0.9 < answer.seconds < LATE
        for answer in load.since(began, "/v1/wind")
        if answer.status == 504
    )
    assert frozen.grew(REJECTIONS, WIND) > 0
    assert frozen.grew(ATTEMPTS, WIND) <= most_attempts(frozen.seconds)
    assert is_well(thawed.of("/v1/wind"))
    check_errors(load.answers)
    check_unaffected(load, began, median(healthy.of("/v1/sky")))
    await stops_cleanly(sky)


async def test_what_a_backend_says_of_itself_stays_inside(raise_sky):
    sky = raise_sky()
    await set_mood(sky.gateway.port, raises=True)
    connection = await Connection.open(sky.gateway.port)
    answers = {path: await connection.request(path) for path in ("/v1/gust", "/v1/forecast", "/v1/page")}
    connection.close()
    assert {path: answer.status for path, answer in answers.items()} == {
        "/v1/gust": 500,
        "/v1/forecast": 500,
        "/v1/page": 200,
    }
    assert answers["/v1/gust"].body["message"] == "the service behind this method failed"
    assert not any("10.0.0.7" in answer.text for answer in answers.values()), answers


async def succeed(load: Load, paths: Any) -> bool:
    return all({200} == {answer.status for answer in load.since(0.0, path)[-3:]} for path in paths)
